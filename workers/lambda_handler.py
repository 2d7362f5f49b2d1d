"""The entry of the functions that run jobs: messages from SQS or of an invocation, the schedule, management commands.

Whatever it doesn't know raises: on Lambda a return means "done", and SQS then deletes the messages.
"""

import contextlib
import datetime as dt
import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import django

from fatfire import secrets

secrets.load()  # before anything reads the settings
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
django.setup()

import structlog  # noqa: E402  # all that follows needs the settings
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import close_old_connections  # noqa: E402

from fatfire.kit import aws, clock, sqs  # noqa: E402
from services.jobs.operations import OutOfTime  # noqa: E402
from workers import delivery  # noqa: E402
from workers.runner import worker_ends_at  # noqa: E402
from workers.schedule import entry_named  # noqa: E402

logger = structlog.get_logger(__name__)

COMMANDS = frozenset({"check", "migrate", "showmigrations"})
"""What may be asked for by {"manage": [...]}: the deployment's commands, not any that exists."""

END_S = 5.0
"""What is left of the invocation when a job is told to end: for writing how it did, and for the answer."""
LEAST_S = 10.0
"""With less than this left of the invocation, nothing more is begun."""


class UnknownEvent(ValueError):
    """This function isn't made for such an event."""


def lambda_handler(event: Mapping[str, Any], context: Any) -> Any:
    """Do what the event asks for.

    Raises:
        UnknownEvent: it is none of ours; nothing was done.
    """
    close_old_connections()  # a frozen process wakes up with connections that the database has closed
    if "Records" in event:
        return _receive_batch(event["Records"], context)
    if "celery" in event:
        return _receive_one(event["celery"]["message"], context)
    if "schedule" in event:
        entry_named(event["schedule"]).fire(at=clock.now())
        return {"fired": event["schedule"]}
    if "manage" in event:
        return _manage(list(event["manage"]))
    msg = f"no event of ours: its keys are {sorted(event)}"
    raise UnknownEvent(msg)


def _receive_batch(records: list[dict[str, Any]], context: Any) -> dict[str, list[dict[str, str]]]:
    """Run a batch from SQS; return which of its messages must come again."""
    for record in records:
        if record.get("eventSource") != "aws:sqs":
            msg = f"records of {record.get('eventSource')!r} have no one to take them here"
            raise UnknownEvent(msg)
    return {
        "batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in records if not _done(each, context)]
    }


def _done(record: dict[str, Any], context: Any) -> bool:
    """Run one message; return whether it may be deleted."""
    if _left_s(context) < LEAST_S:
        logger.info("message_postponed", message_id=record["messageId"])
        return False
    try:
        with _time_of(context):
            delivery.run(delivery.envelope_of(record["body"]))
    except delivery.Poison as poison:
        return _set_aside(record, str(poison))
    except delivery.NotRun as error:
        received = int(record["attributes"]["ApproximateReceiveCount"])
        logger.warning("message_not_run", message_id=record["messageId"], reason=str(error), received=received)
        return received >= sqs.MOST_RECEIVES and _set_aside(record, f"not run in {received} deliveries: {error}")
    return True


def _receive_one(envelope: Mapping[str, Any], context: Any) -> dict[str, bool]:
    """Run the message of an asynchronous invocation; what is raised has Lambda try it again."""
    with _time_of(context):
        delivery.run(envelope)
    return {"done": True}


def _set_aside(record: dict[str, Any], reason: str) -> bool:
    """Put a message that is of no use among the dead letters, with the reason; return whether it is there.

    A kill before SQS knows that we are done leaves it in both places: it comes here again, and lies there twice.
    """
    queue = record["eventSourceARN"].rpartition(":")[2]
    logger.error("message_set_aside", message_id=record["messageId"], queue=queue, reason=reason)
    try:
        aws.client("sqs").send_message(
            QueueUrl=sqs.queue_url(f"{queue}{sqs.DEAD}"),
            MessageBody=record["body"],
            MessageAttributes={sqs.REASON: {"DataType": "String", "StringValue": reason}},
        )
    except (BotoCoreError, ClientError):  # it comes again, and the rest of the batch needn't
        logger.exception("message_not_set_aside", message_id=record["messageId"], queue=queue)
        return False
    return True


@contextlib.contextmanager
def _time_of(context: Any) -> Iterator[None]:
    """Let what runs in the block end in time: at its next report, or, where none comes, by force.

    The force is an alarm that raises OutOfTime wherever the main thread is. Both leave a job that says so, to be tried
    again; without them the process would be stopped in silence, and the job's lease would have to run out.
    """
    left_s = _left_s(context)
    ends_at = clock.now() + dt.timedelta(seconds=left_s - END_S)
    with worker_ends_at(ends_at), _alarm(left_s - END_S / 2):
        yield


@contextlib.contextmanager
def _alarm(after_s: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # no place for signals; Lambda's is the main thread
        yield
        return

    def ring(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(after_s, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _left_s(context: Any) -> float:
    left_ms: int = context.get_remaining_time_in_millis()
    return left_ms / 1000


def _manage(arguments: list[str]) -> dict[str, str]:
    """Run a management command; return what it printed."""
    name, *rest = arguments or [""]
    if name not in COMMANDS:
        msg = f"{name!r} is none of the commands that may be asked for: {', '.join(sorted(COMMANDS))}"
        raise UnknownEvent(msg)
    output = io.StringIO()
    call_command(name, *rest, stdout=output, stderr=output)
    return {"output": output.getvalue()}

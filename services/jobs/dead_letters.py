"""Messages that nobody could run, as they lie in the queues' dead-letter queues on SQS.

A message only says "look at job 42": what becomes of the job is the row's to say, and the sweep's, which sends a new
message for a row that waits. So nothing is lost with a dead letter; it tells that something is wrong. All functions
speak to SQS, hence none is called inside a transaction.
"""

import contextlib
import datetime as dt
import json
from base64 import b64decode
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from django.conf import settings

from fatfire.kit import aws, sqs
from fatfire.kit.errors import DomainError
from services.jobs.jobs import Queue

MOST = 100
"""So many are read of one queue."""
HIDDEN_S = 20
"""For so long a letter is hidden from others while it is read; afterwards it is shown again at once."""
_NO_REASON = f"No worker came to an end with it in {sqs.MOST_RECEIVES} deliveries; the workers' log says why."
_REASONS = (sqs.REASON, "ErrorMessage")  # ours, and Lambda's of an invocation that failed


class DeadLetterGone(DomainError):
    """It isn't there any more, or someone else is reading it at this moment."""

    code = "dead_letter_gone"


class CannotSendAgain(DomainError):
    """There is no message in it that any worker could run."""

    code = "cannot_send_again"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them. `kind`, `job_id` and `tenant_id` are what it says, if it can be read: nobody vouches for it."""

    queue: Queue
    id: str
    reason: str
    sent_at: dt.datetime
    kind: str = ""
    job_id: UUID | None = None
    tenant_id: UUID | None = None

    @property
    def may_be_sent(self) -> bool:
        """Whether there is something in it to be sent again."""
        return self.job_id is not None


@dataclass(frozen=True, slots=True)
class DeadQueue:
    """What lies in one queue's dead-letter queue, oldest first; `error` where SQS didn't say."""

    queue: Queue
    letters: list[DeadLetter] = field(default_factory=list)
    error: str = ""


def queues_with_letters() -> list[Queue]:
    """Return the queues that have a dead-letter queue: those that don't live in memory."""
    brokers = {queue: settings.QUEUE_BROKERS.get(queue.value, settings.BROKER_URL) for queue in Queue}
    return [queue for queue, url in brokers.items() if url.startswith(("sqs:", "lambda:"))]


def list_dead_letters() -> list[DeadQueue]:
    """Return the dead letters of each queue that can have some, MOST of each at most."""
    return [_listed(queue) for queue in queues_with_letters()]


def send_again(*, queue: Queue, letter_id: str) -> DeadLetter:
    """Send the letter's message anew to its queue, then delete the letter; return it.

    A kill in between leaves both: a message too many does nothing.

    Raises:
        DeadLetterGone: there is no such letter now.
        CannotSendAgain: nothing in it could be run.
    """
    from fatfire import celery  # a third of a second, for a page that seldom needs it

    with _held(queue, letter_id) as (letter, receipt):
        if not letter.may_be_sent:
            raise CannotSendAgain
        message = {"job_id": str(letter.job_id), "tenant_id": letter.tenant_id and str(letter.tenant_id)}
        celery.send(name=letter.kind, queue=queue.value, message=message)
        _delete(queue, receipt)
        return letter


def delete(*, queue: Queue, letter_id: str) -> DeadLetter:
    """Delete the letter for good; return it.

    Raises:
        DeadLetterGone: there is no such letter now.
    """
    with _held(queue, letter_id) as (letter, receipt):
        _delete(queue, receipt)
        return letter


def _listed(queue: Queue) -> DeadQueue:
    try:
        letters = [letter for letter, _ in _read(queue)]
    except ClientError as error:
        return DeadQueue(queue, error=error.response["Error"]["Code"])
    except BotoCoreError as error:
        return DeadQueue(queue, error=type(error).__name__)
    return DeadQueue(queue, sorted(letters, key=lambda letter: letter.sent_at))


@contextlib.contextmanager
def _held(queue: Queue, letter_id: str) -> Iterator[tuple[DeadLetter, str]]:
    """Yield the letter and the receipt by which it can be deleted, hidden from others for the length of the block."""
    reading = _read(queue)
    try:
        for letter, receipt in reading:
            if letter.id == letter_id:
                yield letter, receipt
                return
    finally:
        reading.close()
    raise DeadLetterGone


def _read(queue: Queue) -> Generator[tuple[DeadLetter, str]]:
    """Yield each letter with its receipt, MOST at most, and show them all again at the end."""
    client, url = aws.client("sqs"), _url(queue)
    asked = client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    there = int(asked["Attributes"]["ApproximateNumberOfMessages"])  # so that nobody waits for those that aren't
    receipts: dict[str, str] = {}
    try:
        while len(receipts) < min(there, MOST):
            received = client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_S,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=list(_REASONS),
            )
            found = received.get("Messages", [])
            if not found:
                return
            for each in found:
                receipts[each["MessageId"]] = each["ReceiptHandle"]
            for each in found:
                yield _letter(queue, each), each["ReceiptHandle"]
    finally:
        for receipt in receipts.values():
            with contextlib.suppress(ClientError):  # one that was deleted in the meantime
                client.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)


def _letter(queue: Queue, received: dict[str, Any]) -> DeadLetter:
    attributes = received.get("MessageAttributes", {})
    reason = next((attributes[name]["StringValue"] for name in _REASONS if name in attributes), _NO_REASON)
    sent_at = dt.datetime.fromtimestamp(int(received["Attributes"]["SentTimestamp"]) / 1000, dt.UTC)
    return DeadLetter(queue, received["MessageId"], reason, sent_at, **_contents(received["Body"]))


def _contents(body: str) -> dict[str, Any]:
    """Return what the message says; nothing where it can't be read."""
    try:
        envelope = sqs.envelope_of(body)
        envelope = envelope.get("celery", {}).get("message", envelope)  # of an invocation that failed
        _, arguments, _ = json.loads(b64decode(envelope["body"]))
        tenant_id = arguments["tenant_id"]
        return {
            "kind": str(envelope["headers"]["task"]),
            "job_id": UUID(arguments["job_id"]),
            "tenant_id": UUID(tenant_id) if tenant_id else None,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _url(queue: Queue) -> str:
    return sqs.queue_url(sqs.queue_name(queue, environment=settings.ENVIRONMENT) + sqs.DEAD)


def _delete(queue: Queue, receipt: str) -> None:
    aws.client("sqs").delete_message(QueueUrl=_url(queue), ReceiptHandle=receipt)

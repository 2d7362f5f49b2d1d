"""One Celery message, run here and now by Celery's own request and tracer: a worker's half without a worker.

What the message means is Celery's to say (workers consume the same queues in a container), and the row's, which the
runner claims; nothing here calls a task's function.
"""

import base64
import functools
from collections.abc import Mapping
from typing import Any

from celery.concurrency.solo import TaskPool  # type: ignore[import-untyped]
from celery.exceptions import TaskRevokedError  # type: ignore[import-untyped]
from celery.worker.request import Request  # type: ignore[import-untyped]
from kombu.exceptions import KombuError
from kombu.message import Message
from kombu.serialization import prepare_accept_content

from fatfire.celery import app
from fatfire.kit import sqs
from workers import tasks  # noqa: F401  # registers all that may be asked for
from workers.runner import OPERATIONS

HOSTNAME = "lambda"


class Poison(Exception):  # not an error of a job: there is no job in it
    """This message can never be run by this release; the text says why, in words that hold none of its content."""


class NotRun(Exception):  # not an error of a job: the row was not claimed, or its end could not be written
    """The message was understood, but nothing was done about it that lasts: it must come again."""


class _Request(Request):  # type: ignore[misc]  # Celery has no types
    """Celery's request, which remembers how it ended."""

    failure: BaseException | None = None

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Remember what the task raised; Celery does the rest."""
        self.failure = getattr(exc_info.exception, "exc", exc_info.exception)
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)


def envelope_of(body: str) -> Mapping[str, Any]:
    """Return Kombu's envelope of a message's body on SQS.

    Raises:
        Poison: there is none in it.
    """
    try:
        return sqs.envelope_of(body)
    except (ValueError, RecursionError) as error:
        raise Poison("no Celery message: neither a JSON object nor base64 of one") from error


def run(envelope: Mapping[str, Any]) -> None:
    """Run the task of the message to its end, in this thread.

    Raises:
        Poison: it is no message of ours, or its kind of job is unknown here.
        NotRun: the task raised, which the runner's never does on account of the job's own work.
    """
    acknowledged: list[bool] = []
    request = _request_of(envelope, acknowledged)
    try:
        request.execute_using_pool(_pool())
    except TaskRevokedError as error:  # nothing of ours expires: a row waits for as long as it takes
        raise Poison("it has expired") from error
    if request.failure is not None or not acknowledged:
        raise NotRun(type(request.failure).__name__) from request.failure


def _request_of(envelope: Mapping[str, Any], acknowledged: list[bool]) -> _Request:
    try:
        properties, headers = envelope["properties"], envelope["headers"]
        body, name = envelope["body"], headers["task"]
        if properties.get("body_encoding") == "base64":
            body = base64.b64decode(body)
        message = Message(
            body=body,
            delivery_tag=properties.get("delivery_tag"),
            content_type=envelope["content-type"],
            content_encoding=envelope["content-encoding"],
            headers=headers,
            properties=properties,
            delivery_info=dict(properties.get("delivery_info") or {}),
            accept=prepare_accept_content(app.conf.accept_content),
            channel=None,
        )
        if name not in {kind for kind, _ in OPERATIONS}:  # Celery's own tasks aren't for anybody to ask for
            raise Poison(f"unknown kind of job: {str(name)[:60]!r}")
        return _Request(
            message,
            app=app,
            hostname=HOSTNAME,
            task=app.tasks[name],
            on_ack=lambda *_, **__: acknowledged.append(True),
            on_reject=lambda *_, **__: None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, KombuError) as error:
        raise Poison(f"no Celery message that can be read: {type(error).__name__}") from error


@functools.cache
def _pool() -> Any:
    return TaskPool(app=app, initargs=(app, HOSTNAME))

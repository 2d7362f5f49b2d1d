"""The transports of messages, for the guard of all jobs: what lies on one, and a worker of its kind to run it.

A message is JSON here, so that a process which will be killed can be given it. What it sends goes where its transport
takes it: memory's are lost with the process, SQS's and Lambda's are not.
"""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from fatfire.celery import app
from fatfire.kit import aws, clock, sqs
from services.jobs.jobs import Queue
from tests.workers.invocations import Invocations
from tests.workers.queues import Context, Queues
from workers import runner

Message = dict[str, Any]


class Transport(Protocol):
    """One of them, as the side sees it that takes messages."""

    name: str
    brokers: dict[str, str]

    def take(self, job_id: UUID) -> list[Message]:
        """Return the messages about the job that wait; those about others are thrown away."""

    def done(self, message: Message) -> None:
        """Take note that the message's worker ended well."""

    def show_again(self, message: Message) -> None:
        """Take note that the message's worker was killed."""


@dataclass
class Memory:
    """Messages in this process; one is acknowledged by being forgotten."""

    name: str = "memory"
    brokers: dict[str, str] = field(default_factory=dict)

    def take(self, job_id: UUID) -> list[Message]:
        """Return the waiting messages."""
        return take_from_memory(job_id)

    def done(self, message: Message) -> None:
        """Nothing is left of it."""

    show_again = done


@dataclass
class Sqs:
    """Messages on the emulator's SQS, as an event source mapping passes them on."""

    queues: Queues
    name: str = "sqs"
    brokers: dict[str, str] = field(default_factory=lambda: {queue.value: "sqs://" for queue in Queue})

    def take(self, job_id: UUID) -> list[Message]:
        """Return the waiting messages."""
        found = []
        for queue in Queue:
            while records := self.queues.take(queue):
                for record in records:
                    if says(sqs.envelope_of(record["body"]), job_id):
                        found.append(record)
                    else:
                        self.queues.delete(record, queue)
        return found

    def done(self, message: Message) -> None:
        """Delete it."""
        aws.client("sqs").delete_message(QueueUrl=self._url(message), ReceiptHandle=message["receiptHandle"])

    def show_again(self, message: Message) -> None:
        """Show it again, as SQS does after the visibility timeout."""
        aws.client("sqs").change_message_visibility(
            QueueUrl=self._url(message), ReceiptHandle=message["receiptHandle"], VisibilityTimeout=0
        )

    def _url(self, message: Message) -> str:
        return sqs.queue_url(message["eventSourceARN"].rpartition(":")[2])


@dataclass
class Lambda:
    """Invocations, as `lambda://` asks for them; a failed one is tried again twice."""

    invocations: Invocations
    name: str = "lambda"
    brokers: dict[str, str] = field(default_factory=lambda: {q.value: "lambda://fatfire-jobs:live" for q in Queue})
    _again: list[Message] = field(default_factory=list)

    def take(self, job_id: UUID) -> list[Message]:
        """Return the waiting events."""
        again, self._again = self._again, []
        return [each for each in [*again, *self.invocations.take()] if says(each["celery"]["message"], job_id)]

    def done(self, message: Message) -> None:
        """Nothing is left of it."""

    def show_again(self, message: Message) -> None:
        """Have it invoked again."""
        self._again.append(message)


def take_from_memory(job_id: UUID) -> list[Message]:
    """Return the waiting messages about the job from this process's memory; those about others are thrown away."""
    found = []
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        for queue in Queue:
            while channel._size(queue.value):
                found.append(channel._get(queue.value))
    return [each for each in found if says(each, job_id)]


def says(envelope: Message, job_id: UUID) -> bool:
    """Return whether the message is about the job."""
    from base64 import b64decode

    return json.loads(b64decode(envelope["body"]))[1]["job_id"] == str(job_id)


def run(transport: str, message: Message) -> bool:
    """Run the message as the transport's worker does; return whether it ended well."""
    from workers import delivery
    from workers.lambda_handler import lambda_handler

    if transport == "memory":
        delivery.run(message)
        return True
    if transport == "lambda":
        return bool(lambda_handler(message, Context())["done"])
    return lambda_handler({"Records": [message]}, Context()) == {"batchItemFailures": []}


@contextlib.contextmanager
def present(at: dt.datetime) -> Iterator[None]:
    """Let it be `at` for the workers of this process."""
    defaults, read = runner.advance.__kwdefaults__, clock.now
    before = defaults["now"]
    defaults["now"] = clock.now = lambda: at
    try:
        yield
    finally:
        defaults["now"], clock.now = before, read

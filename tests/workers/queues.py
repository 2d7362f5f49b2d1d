"""Queues on the emulator's SQS, and what an event source mapping does between one of them and a function."""

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fatfire.kit import aws, sqs
from services.jobs.jobs import Queue
from tests.emulator import ROOT

REGION, ACCOUNT = ROOT["AWS_DEFAULT_REGION"], "000000000000"


@dataclass
class Context:
    """What Lambda tells a function of its invocation."""

    left_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the invocation."""
        return self.left_ms


@dataclass(frozen=True)
class Queues:
    """The queues of one environment, each with its dead-letter queue."""

    environment: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")

    def make(self) -> None:
        """Make all queues, as infra/ does."""
        for queue in Queue:
            name = sqs.queue_name(queue, environment=self.environment)
            aws.client("sqs").create_queue(QueueName=name + sqs.DEAD)
            redrive = {"deadLetterTargetArn": self._arn(name + sqs.DEAD), "maxReceiveCount": sqs.MOST_RECEIVES}
            aws.client("sqs").create_queue(
                QueueName=name, Attributes={"VisibilityTimeout": "60", "RedrivePolicy": json.dumps(redrive)}
            )

    def url(self, queue: str = Queue.DEFAULT, *, dead: bool = False) -> str:
        """Return the address of the queue."""
        return sqs.queue_url(sqs.queue_name(queue, environment=self.environment) + (sqs.DEAD if dead else ""))

    def put(self, body: str, queue: str = Queue.DEFAULT, *, dead: bool = False) -> None:
        """Send a message as anybody may."""
        aws.client("sqs").send_message(QueueUrl=self.url(queue, dead=dead), MessageBody=body)

    def take(self, queue: str = Queue.DEFAULT, *, dead: bool = False, most: int = 10) -> list[dict[str, Any]]:
        """Receive what is there, as records of an event."""
        received = aws.client("sqs").receive_message(
            QueueUrl=self.url(queue, dead=dead),
            MaxNumberOfMessages=most,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        arn = self._arn(sqs.queue_name(queue, environment=self.environment) + (sqs.DEAD if dead else ""))
        return [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
                "messageAttributes": each.get("MessageAttributes", {}),
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": REGION,
            }
            for each in received.get("Messages", [])
        ]

    def delete(self, record: dict[str, Any], queue: str = Queue.DEFAULT) -> None:
        """Delete a message that was received."""
        aws.client("sqs").delete_message(QueueUrl=self.url(queue), ReceiptHandle=record["receiptHandle"])

    def pass_on(
        self, handler: Callable[..., Any], queue: str = Queue.DEFAULT, context: Context | None = None
    ) -> list[str]:
        """Invoke the handler with what is there, delete what it didn't fail; return the ids of what it did.

        Those are shown again at once, which SQS does when their visibility timeout is over.
        """
        records = self.take(queue)
        if not records:
            return []
        answer = handler({"Records": records}, context or Context())
        failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        for each in records:
            if each["messageId"] not in failed:
                self.delete(each, queue)
            else:
                aws.client("sqs").change_message_visibility(
                    QueueUrl=self.url(queue), ReceiptHandle=each["receiptHandle"], VisibilityTimeout=0
                )
        return failed

    def count(self, queue: str = Queue.DEFAULT, *, dead: bool = False) -> int:
        """Return how many messages the queue holds, those that are with a worker included."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        counted = aws.client("sqs").get_queue_attributes(QueueUrl=self.url(queue, dead=dead), AttributeNames=names)
        return sum(int(counted["Attributes"][name]) for name in names)

    @staticmethod
    def _arn(name: str) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


@contextlib.contextmanager
def aws_at(endpoint: str) -> Iterator[None]:
    """Have this process's clients of AWS, and those of processes that it starts, speak to `endpoint`."""
    wanted = {**ROOT, "AWS_ENDPOINT_URL": endpoint}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    aws._client.cache_clear()
    sqs.queue_url.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        aws._client.cache_clear()
        sqs.queue_url.cache_clear()

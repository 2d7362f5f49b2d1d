"""The names and addresses of the queues on SQS: fatfire-<environment>-<queue>, and the same with -dead behind it."""

import base64
import functools
import json
from typing import Any

from fatfire.kit import aws

DEAD = "-dead"
"""What the name of a queue's dead-letter queue has behind the queue's own."""
REASON = "Reason"
"""The attribute of a dead letter that says, in a few words, why it is one; SQS itself writes none."""
MOST_RECEIVES = 5
"""How often a message is delivered at most. Whoever gets it for the last time sets it aside, with the reason; where
that one is killed, SQS does the same without a reason: the maxReceiveCount of the queue's redrive policy is this."""


def queue_name(queue: str, *, environment: str) -> str:
    """Return the name on SQS of one of our queues ("bank_sync")."""
    return f"fatfire-{environment}-{queue.replace('_', '-')}"


@functools.cache
def queue_url(name: str) -> str:
    """Return the address of the queue of that name on SQS, which must exist; asked once in a process.

    Raises:
        botocore.exceptions.ClientError: there is none (QueueDoesNotExist), or we may not know.
    """
    url: str = aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url


def envelope_of(body: str) -> dict[str, Any]:
    """Return Kombu's envelope of a message's body: JSON, in base64 unless its sender left that out.

    Raises:
        ValueError: there is none in it.
    """
    text = body if body.lstrip().startswith("{") else base64.b64decode(body, validate=True).decode()
    envelope = json.loads(text)
    if not isinstance(envelope, dict):
        msg = "the JSON is no object"
        raise ValueError(msg)  # what was wrong is the value that someone sent
    return envelope

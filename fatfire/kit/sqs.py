"""The names and addresses of the queues on SQS: fatfire-<environment>-<queue>, and the same with -dead behind it."""

import functools

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

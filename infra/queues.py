"""The queues on SQS, each with a queue of dead letters behind it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fatfire.kit.sqs import MOST_RECEIVES
from infra.aws import Account, or_none
from infra.change import Change, difference
from infra.system import System
from infra.zappa import stage_settings
from services.jobs.jobs import Queue

KEPT_SECONDS = 14 * 24 * 60 * 60
"""The longest that SQS keeps a message: nothing acknowledged is lost while people are on holiday."""
VISIBILITY_TIMEOUTS = 6
"""How many times its function's time limit a message stays hidden, at least (AWS's own advice for event sources)."""


@dataclass(frozen=True)
class SqsQueue:
    """A queue, or the one of its dead letters."""

    account: Account
    system: System
    queue: Queue
    dead: bool = False

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its attributes that differ."""
        sqs, name, wanted = (
            self.account.client("sqs"),
            self.system.queue(self.queue, dead=self.dead),
            self._attributes(),
        )
        address = or_none(sqs.get_queue_url, QueueName=name)
        if address is None:
            yield Change(f"queue {name}", "create", lambda: sqs.create_queue(QueueName=name, Attributes=wanted))
            return
        url = address["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        if differing := difference(_parsed(wanted), _parsed(found)):
            apply = lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)  # noqa: E731
            yield Change(f"queue {name}", differing, apply)

    def _attributes(self) -> dict[str, str]:
        kept = {"MessageRetentionPeriod": str(KEPT_SECONDS), "SqsManagedSseEnabled": "true"}
        if self.dead:
            return kept
        dead_letters = self.system.queue_arn(self.queue, dead=True)
        redrive = {"deadLetterTargetArn": dead_letters, "maxReceiveCount": MOST_RECEIVES}
        hidden_seconds = VISIBILITY_TIMEOUTS * stage_settings("jobs")["timeout_seconds"]
        return {**kept, "VisibilityTimeout": str(hidden_seconds), "RedrivePolicy": json.dumps(redrive)}


def _parsed(attributes: dict[str, str]) -> dict[str, object]:
    """Return the attributes with the one that is JSON read: AWS may write it otherwise than we."""
    redrive = attributes.get("RedrivePolicy")
    return {**attributes, **({"RedrivePolicy": json.loads(redrive)} if redrive else {})}


def queues(account: Account, system: System) -> Iterator[SqsQueue]:
    """Yield every queue, its dead letters' before it."""
    for queue in Queue:
        yield SqsQueue(account, system, queue, dead=True)
        yield SqsQueue(account, system, queue)

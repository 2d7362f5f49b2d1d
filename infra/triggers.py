"""What has a function invoked: its queues and the schedule. All name the alias, so that they follow what serves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.aws import Account, or_none
from infra.change import Change, difference
from infra.system import ALIAS, POLLED, System, function
from services.jobs.jobs import Queue
from workers.schedule import SCHEDULE, Entry

BATCH = 5


class NotAsAsked(Exception):
    """AWS took a setting and doesn't have it; the text says which."""


@dataclass(frozen=True)
class QueueTrigger:
    """The event source mapping between a queue and the jobs' function."""

    account: Account
    system: System
    queue: Queue

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its settings that differ."""
        lambda_, name = self.account.client("lambda"), self.system.queue(self.queue)
        found = self._found()
        if found is None:
            create = lambda: self._verified(  # noqa: E731
                lambda_.create_event_source_mapping(
                    EventSourceArn=self.system.queue_arn(self.queue), FunctionName=self._function(), **self._wanted()
                )
            )
            yield Change(f"trigger {name}", "create", create)
        elif differing := difference(self._wanted(), found):
            update = lambda: self._verified(  # noqa: E731
                lambda_.update_event_source_mapping(UUID=found["UUID"], **self._wanted())
            )
            yield Change(f"trigger {name}", differing, update)

    def _verified(self, answer: dict[str, Any]) -> None:
        """Read it back: without partial failures each retry would run a whole batch again.

        Raises:
            NotAsAsked: it isn't as it was asked for.
        """
        found = self.account.client("lambda").get_event_source_mapping(UUID=answer["UUID"])
        if differing := difference(self._wanted(), found):
            msg = f"the trigger of {self.system.queue(self.queue)}: {differing}"
            raise NotAsAsked(msg)

    def _found(self) -> dict[str, Any] | None:
        mappings = self.account.client("lambda").list_event_source_mappings(
            FunctionName=self._function(), EventSourceArn=self.system.queue_arn(self.queue)
        )["EventSourceMappings"]
        return next(iter(mappings), None)

    def _function(self) -> str:
        return self.system.function_arn("jobs", ALIAS)

    def _wanted(self) -> dict[str, Any]:
        return {
            "BatchSize": BATCH,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": self.system.queues[self.queue]},
        }


@dataclass(frozen=True)
class ScheduleRule:
    """The rule of EventBridge that fires one entry of the schedule."""

    account: Account
    system: System
    entry: Entry

    @property
    def name(self) -> str:
        """Return the rule's name."""
        return self.system.name(self.entry.name.replace(".", "-").replace("_", "-"))

    def changes(self) -> Iterator[Change]:
        """Yield its creation, its interval, its target, and the leave to invoke it."""
        events, rule = self.account.client("events"), f"rule {self.name}"
        wanted = {"ScheduleExpression": self.entry.expression, "State": "ENABLED"}
        found = or_none(events.describe_rule, Name=self.name)
        if differing := difference(wanted, found or {}):
            yield Change(rule, differing, lambda: events.put_rule(Name=self.name, **wanted))
        target = {"Id": "jobs", "Arn": self.system.function_arn("jobs", ALIAS), "Input": self._input()}
        targets = (found and or_none(events.list_targets_by_rule, Rule=self.name)) or {"Targets": []}
        if difference(target, next(iter(targets["Targets"]), {})):
            yield Change(rule, "invokes jobs", lambda: events.put_targets(Rule=self.name, Targets=[target]))
        if not self._may_invoke():
            yield Change(rule, "may invoke jobs", self._permit)

    def _input(self) -> str:
        return json.dumps({"schedule": self.entry.name})

    def _may_invoke(self) -> bool:
        lambda_ = self.account.client("lambda")
        policy = or_none(lambda_.get_policy, FunctionName=function("jobs"), Qualifier=ALIAS)
        statements = json.loads(policy["Policy"])["Statement"] if policy else []
        return any(each["Sid"] == self.name for each in statements)

    def _permit(self) -> None:
        self.account.client("lambda").add_permission(
            FunctionName=function("jobs"),
            Qualifier=ALIAS,
            StatementId=self.name,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=self.system.arn("events", f"rule/{self.name}"),
        )


def triggers(account: Account, system: System) -> Iterator[QueueTrigger | ScheduleRule]:
    """Yield every queue's trigger and every entry's rule."""
    for queue in POLLED:
        yield QueueTrigger(account, system, queue)
    for entry in SCHEDULE:
        yield ScheduleRule(account, system, entry)

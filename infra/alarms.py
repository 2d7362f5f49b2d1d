"""What people are told of: dead letters, errors, throttling, refused work, histories that aren't brought up to date."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.api import api_id
from infra.aws import Account, or_none
from infra.change import Change, difference
from infra.logs import log_group
from infra.system import PAGES, System, function
from services.jobs.jobs import Queue

ROLLED_UP = "rolled_up"
"""The event that the jobs' log has of each roll-up that ended well."""
LAG_SECONDS = 3600
"""How long no roll-up may end well; one begins every quarter of an hour."""
_NAMESPACE = "fatfire"


@dataclass(frozen=True)
class Topic:
    """Whom to tell."""

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or that the address in the description isn't told yet (AWS asks it first)."""
        sns, arn = self.account.client("sns"), topic_arn(self.system)
        name, address = self.system.name("alarms"), self.system.alarm_email
        found = or_none(sns.get_topic_attributes, TopicArn=arn)
        if found is None:
            yield Change(f"topic {name}", "create", lambda: sns.create_topic(Name=name))
        told = or_none(sns.list_subscriptions_by_topic, TopicArn=arn) if found else None
        if address not in {each["Endpoint"] for each in (told or {"Subscriptions": []})["Subscriptions"]}:
            tell = lambda: sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)  # noqa: E731
            yield Change(f"topic {name}", f"tells {address}", tell)


@dataclass(frozen=True)
class RollUps:
    """The metric that counts the roll-ups that ended well, from the jobs' log."""

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or what it counts."""
        logs, name = self.account.client("logs"), self.system.name("roll-ups")
        wanted = {
            "filterPattern": f'{{ $.event = "{ROLLED_UP}" }}',
            "metricTransformations": [{"metricName": name, "metricNamespace": _NAMESPACE, "metricValue": "1"}],
        }
        group = log_group(function("jobs"))
        filters = or_none(logs.describe_metric_filters, logGroupName=group, filterNamePrefix=name)
        found: dict[str, Any] = next(iter((filters or {"metricFilters": []})["metricFilters"]), {})
        if found.get("filterPattern") != wanted["filterPattern"]:
            put = lambda: logs.put_metric_filter(logGroupName=group, filterName=name, **wanted)  # noqa: E731
            yield Change(f"metric {name}", "count", put)


@dataclass(frozen=True)
class Alarm:
    """When a metric passes its threshold over some minutes, people are told."""

    account: Account
    system: System
    what: str
    why: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    threshold: float = 0
    seconds: int = 300
    statistic: str = "Sum"
    at_least: bool = False
    """Tell when it is below the threshold, or isn't measured at all, instead of above it."""

    @property
    def name(self) -> str:
        """Return the alarm's name."""
        return self.system.name(self.what)

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or what of it differs."""
        cloudwatch, wanted = self.account.client("cloudwatch"), self._wanted()
        found: dict[str, Any] = next(iter(cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]), {})
        if differing := difference(wanted, found):
            put = lambda: cloudwatch.put_metric_alarm(AlarmName=self.name, **wanted)  # noqa: E731
            yield Change(f"alarm {self.name}", differing if found else "create", put)

    def _wanted(self) -> dict[str, Any]:
        return {
            "AlarmDescription": self.why,
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions.items()],
            "Statistic": self.statistic,
            "Period": self.seconds,
            "EvaluationPeriods": 1,
            "Threshold": float(self.threshold),
            "ComparisonOperator": "LessThanThreshold" if self.at_least else "GreaterThanThreshold",
            "TreatMissingData": "breaching" if self.at_least else "notBreaching",
            "AlarmActions": [topic_arn(self.system)],
        }


def topic_arn(system: System) -> str:
    """Return the ARN of the topic of the alarms."""
    return system.arn("sns", system.name("alarms"))


def alarms(account: Account, system: System) -> Iterator[Topic | RollUps | Alarm]:
    """Yield whom to tell, and every alarm."""
    yield Topic(account, system)
    yield RollUps(account, system)
    letters = f"{system.console_url}/admin/dead-letters/"
    for queue in Queue:
        name = system.queue(queue, dead=True)
        yield Alarm(
            account,
            system,
            what=f"{queue.replace('_', '-')}-dead-letters",
            why=f"messages of {queue} that nobody could use; {letters} shows why, and sends them again",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": name},
            statistic="Maximum",
        )
    for stage in system.stages:
        for metric, why in (("Errors", "ended with an error"), ("Throttles", "was refused: all its places were taken")):
            yield Alarm(
                account,
                system,
                what=f"{stage}-{metric.lower()}",
                why=f"{function(stage)} {why}",
                namespace="AWS/Lambda",
                metric=metric,
                dimensions={"FunctionName": function(stage)},
            )
    for stage in PAGES:
        if api := api_id(account, stage):
            yield Alarm(
                account,
                system,
                what=f"{stage}-server-errors",
                why=f"{system.host(stage)} answered with a server error more than five times in five minutes",
                namespace="AWS/ApiGateway",
                metric="5xx",
                dimensions={"ApiId": api},
                threshold=5,
            )
    yield Alarm(
        account,
        system,
        what="roll-up-lag",
        why="no roll-up has ended well for an hour: histories and net worth are out of date",
        namespace=_NAMESPACE,
        metric=system.name("roll-ups"),
        threshold=1,
        seconds=LAG_SECONDS,
        at_least=True,
    )

"""The functions' logs, kept for a while: made before Lambda would make them, to be kept for ever."""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.aws import Account
from infra.change import Change
from infra.system import System, function

KEPT_DAYS = 30


@dataclass(frozen=True)
class LogGroup:
    """A function's log."""

    account: Account
    name: str

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or how long it is kept."""
        logs = self.account.client("logs")
        found = logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        group = next((each for each in found if each["logGroupName"] == self.name), None)
        keep = lambda: logs.put_retention_policy(logGroupName=self.name, retentionInDays=KEPT_DAYS)  # noqa: E731
        if group is None:
            yield Change(f"log {self.name}", "create", lambda: logs.create_log_group(logGroupName=self.name))
        if group is None or group.get("retentionInDays") != KEPT_DAYS:
            yield Change(f"log {self.name}", f"keep for {KEPT_DAYS} days", keep)


def log_group(name: str) -> str:
    """Return the name of a function's log."""
    return f"/aws/lambda/{name}"


def logs(account: Account, system: System) -> Iterator[LogGroup]:
    """Yield every function's log."""
    for stage in system.stages:
        yield LogGroup(account, log_group(function(stage)))

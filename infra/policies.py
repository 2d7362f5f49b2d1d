"""What each role may do, written out: no action by wildcard, and each on what it is for.

The deployment's test compares these with the calls that a whole run makes: a right that nothing uses fails it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from infra import logs
from infra.aws import Account
from infra.roles import Role
from infra.system import Stage, System, function
from services.jobs.jobs import Queue

# Actions that AWS grants on nothing narrower than everything, and why we need them.
# Source: AWS, Service Authorization Reference.
UNNARROWED = {
    "ec2:CreateNetworkInterface": "Lambda reaches our network by an interface that it makes as the function's role",
    "ec2:DescribeNetworkInterfaces": "the same",
    "ec2:DeleteNetworkInterface": "the same",
}
# Calls that AWS's own services make with a role's rights: no run of ours can record them.
BY_AWS = {
    "logs:CreateLogStream": "Lambda writes the function's log",
    "logs:PutLogEvents": "the same",
    "sqs:ReceiveMessage": "an event source mapping takes messages as the function's role",
    "sqs:DeleteMessage": "the same",
    "sqs:GetQueueAttributes": "the same",
    **dict.fromkeys(UNNARROWED, "Lambda reaches our network by an interface that it makes as the function's role"),
}


def _allow(sid: str, actions: Iterable[str], resources: Iterable[str], **condition: Any) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
    return {**statement, **({"Condition": condition} if condition else {})}


def _policy(statements: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def function_policy(stage: Stage, system: System) -> dict[str, Any]:
    """Return what a stage's function may do."""
    queues = [system.queue_arn(queue) for queue in Queue]
    dead = [system.queue_arn(queue, dead=True) for queue in Queue]
    return _policy(_function_statements(stage, system, queues, dead))


def _function_statements(stage: Stage, system: System, queues: list[str], dead: list[str]) -> Iterator[dict[str, Any]]:
    log = system.arn("logs", f"log-group:{logs.log_group(function(stage))}:*")
    yield _allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [log])
    path = system.arn("ssm", f"parameter{system.secrets_prefix(stage)}")
    yield _allow("ReadItsSecrets", ["ssm:GetParametersByPath"], [path.rstrip("/"), f"{path}*"])
    if system.network.subnets:
        yield _allow("JoinTheNetwork", UNNARROWED, ["*"])
    if stage in ("web", "console"):
        yield _allow("SendMessages", ["sqs:GetQueueUrl", "sqs:SendMessage"], queues)
    if stage == "jobs":
        yield _allow("SendMessages", ["sqs:GetQueueUrl", "sqs:SendMessage"], [*queues, *dead])
        yield _allow("TakeMessages", ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], queues)


def trust(service: str) -> dict[str, Any]:
    """Return who may take a function's role."""
    return _policy([{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}])


def roles(account: Account, system: System) -> Iterator[Role]:
    """Yield every role."""
    for stage in system.stages:
        yield Role(account, system, stage, trust("lambda.amazonaws.com"), function_policy(stage, system))

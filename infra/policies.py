"""What each function may do, written out: no action by wildcard, and each on what it is for.

The test of a deployment compares these with the calls that a whole run makes: a right that nothing uses fails it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra import deployer, keys, logs, websocket
from infra.aws import Account
from infra.roles import Role
from infra.statements import allow, policy
from infra.system import ALIAS, INVOKED, PAGES, Stage, System, function
from services.jobs.jobs import Queue

GITHUB = "token.actions.githubusercontent.com"
"""Who signs the tokens of GitHub's workflows. Source: GitHub, OpenID Connect in Amazon Web Services."""
FILES: Mapping[Stage, Sequence[str]] = {
    # Browsers send and fetch by addresses that the web signs: they may do what it may.
    # Whoever may read must see: of those who don't, S3 calls a file that is missing forbidden.
    "web": ("s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket", "s3:ListMultipartUploadParts", "s3:PutObject"),
    "jobs": ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListBucket"),
    "media": ("s3:GetObject", "s3:ListBucket", "s3:PutObject"),
}
NETWORK = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""What AWS asks of a role whose function is in a network. Source: AWS Lambda, Developer Guide, permissions of VPCs."""
# Actions that can be granted on nothing narrower than everything, and what for.
# Source: AWS, Service Authorization Reference.
UNNARROWED = dict.fromkeys(NETWORK, "Lambda reaches our network by an interface that it makes as the function's role")
# What a function does so seldom that a run of all stories doesn't: stage to action to when.
SELDOM: Mapping[Stage, Mapping[str, str]] = {
    "web": {
        "s3:AbortMultipartUpload": "a person gives another file in the place of one that was begun",
        "s3:ListBucket": "a person says that a file has been sent, and it isn't there",
    },
    "console": {"lambda:InvokeFunction": "an operator tries a video's job again"},
    "jobs": {"lambda:InvokeFunction": "the sweep sends again what was lost of a video's jobs"},
    "media": {
        "execute-api:ManageConnections": "a page looks on while a video is made",
        "s3:ListBucket": "a file was deleted that a job still asks for",
        "sqs:SendMessage": "Lambda puts an invocation that failed again and again among the dead letters",
    },
}
# Calls that AWS makes with a role's rights: no run of ours can record them.
BY_AWS = {
    "logs:CreateLogStream": "Lambda writes the function's log",
    "logs:PutLogEvents": "the same",
    "sqs:ReceiveMessage": "an event source mapping takes messages as the function's role",
    "sqs:DeleteMessage": "the same",
    "sqs:GetQueueAttributes": "the same",
    **UNNARROWED,
}


def function_policy(stage: Stage, system: System, *, key: str, connections: str) -> dict[str, Any]:
    """Return what a stage's function may do.

    `key` is the ARN of the key that wraps the tenants' keys, `connections` that of the pages that listen.
    """
    return policy(_statements(stage, system, key, connections))


def _statements(stage: Stage, system: System, key: str, connections: str) -> Iterator[dict[str, Any]]:
    queues = [system.queue_arn(queue) for queue in Queue]
    dead = [system.queue_arn(queue, dead=True) for queue in Queue]
    log = system.arn("logs", f"log-group:{logs.log_group(function(stage))}:*")
    yield allow("WriteItsLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [log])
    path = system.arn("ssm", f"parameter{system.secrets_prefix(stage)}")
    yield allow("ReadItsSecrets", ["ssm:GetParametersByPath"], [path.rstrip("/"), f"{path}*"])
    if system.network.subnets:
        yield allow("JoinTheNetwork", NETWORK, ["*"])
    if stage in PAGES:
        yield allow("SendMessages", ["sqs:GetQueueUrl", "sqs:SendMessage"], queues)
    if stage != "migrate":
        workers = [system.function_arn(by, ALIAS) for by in INVOKED.values()]
        yield allow("Invoke", ["lambda:InvokeFunction"], workers)
    yield from _files(stage, system)
    # Banks are linked on the pages, where a tenant's key is made; the console links none, and asks for no file either.
    opens = {"web": ["kms:Decrypt", "kms:Encrypt"], "jobs": ["kms:Decrypt"]}
    if stage in opens:
        yield allow("OpenTenantsKeys", opens[stage], [key])
    if stage in websocket.TELLERS:
        yield allow("TellPages", ["execute-api:ManageConnections"], [connections])
    if stage == "console":
        letters = ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage")
        yield allow("DeadLetters", [f"sqs:{action}" for action in letters], dead)
    if stage == "media":
        ends = [system.queue_arn(queue, dead=True) for queue in INVOKED]
        yield allow("LeaveDeadLetters", ["sqs:SendMessage"], ends)
    if stage == "jobs":
        yield allow("SendMessages", ["sqs:GetQueueUrl", "sqs:SendMessage"], [*queues, *dead])
        yield allow("TakeMessages", ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], queues)


def _files(stage: Stage, system: System) -> Iterator[dict[str, Any]]:
    bucket = f"arn:aws:s3:::{system.bucket('media')}"
    of_files = [action for action in FILES.get(stage, ()) if action != "s3:ListBucket"]
    if of_files:
        yield allow("Files", of_files, [f"{bucket}/*"])
    if "s3:ListBucket" in FILES.get(stage, ()):
        yield allow("SeeFiles", ["s3:ListBucket"], [bucket])


def trust(principal: Mapping[str, str]) -> dict[str, Any]:
    """Return that this principal may take a role."""
    return policy([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}])


def deployers_trust(system: System) -> dict[str, Any]:
    """Return who may deploy: whom the account's administrators let, and the workflow that the description names.

    The workflow shows a token that GitHub signed for this run, so that no key is kept anywhere.
    """
    account = f"arn:aws:iam::{system.account}"
    trusted = trust({"AWS": f"{account}:root"})
    if system.github_subject:
        is_ours = {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": system.github_subject}
        workflow = {
            "Effect": "Allow",
            "Principal": {"Federated": f"{account}:oidc-provider/{GITHUB}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": is_ours},
        }
        trusted["Statement"].append(workflow)
    return trusted


def roles(account: Account, system: System) -> Iterator[Role]:
    """Yield every role."""
    key, connections = keys.arn(account, system), websocket.connections_arn(account, system)
    for stage in system.stages:
        may = function_policy(stage, system, key=key, connections=connections)
        yield Role(account, system, stage, trust({"Service": "lambda.amazonaws.com"}), may)
    yield Role(account, system, deployer.ROLE, deployers_trust(system), deployer.policy_of(system, key=key))

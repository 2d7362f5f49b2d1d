"""What whoever deploys may do: all that a deployment does to what is ours, and give no one a right."""

from collections.abc import Iterator
from typing import Any

from infra.logs import log_group
from infra.statements import allow, policy
from infra.system import PAGES, System, function
from services.jobs.jobs import Queue

ROLE = "deploy"

# Actions that can be granted on nothing narrower than everything, and what for.
# Source: AWS, Service Authorization Reference.
UNNARROWED = {
    "lambda:CreateEventSourceMapping": "a mapping has no name of ours; a condition holds it to our functions",
    "lambda:GetEventSourceMapping": "the same",
    "lambda:UpdateEventSourceMapping": "the same",
    "lambda:ListEventSourceMappings": "listing knows no resource",
}
# Calls that no run on an emulator can record: AWS makes them with the deployer's rights, or they are seldom.
UNSEEN = {
    "iam:PassRole": "Lambda asks whether we may give a function its role",
    "apigateway:DELETE": "CloudFormation makes, changes and takes away the parts of Zappa's API",
    "apigateway:PUT": "the same",
    "apigateway:TagResource": "the same",
    "cloudformation:ListStackResources": "Zappa, while CloudFormation still works",
    "lambda:DeleteFunction": "the oldest version, once there are more than ten",
    "lambda:RemovePermission": "CloudFormation, when the API's permission moves to the alias",
    "s3:PutBucketPublicAccessBlock": "a new bucket is closed and encrypted from the start; this mends what came later",
    "s3:PutEncryptionConfiguration": "the same",
}

_READ_BUCKET = (
    "BucketCORS",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "EncryptionConfiguration",
    "LifecycleConfiguration",
)
_QUEUE = ("CreateQueue", "GetQueueAttributes", "GetQueueUrl", "SetQueueAttributes")
_FUNCTION = (
    *("AddPermission", "CreateAlias", "CreateFunction", "DeleteFunction", "GetAlias", "GetFunction"),
    *("GetFunctionConcurrency", "GetFunctionConfiguration", "GetPolicy", "InvokeFunction", "ListFunctionUrlConfigs"),
    *("ListVersionsByFunction", "PublishVersion", "PutFunctionConcurrency", "RemovePermission", "UpdateAlias"),
    *("UpdateFunctionCode", "UpdateFunctionConfiguration"),
)
_TRIGGER = ("CreateEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping")
_STACK = ("CreateStack", "DescribeStackResource", "DescribeStacks", "ListStackResources", "UpdateStack")
_API = ("DELETE", "GET", "PATCH", "POST", "PUT", "TagResource")
_RULE = ("DescribeRule", "ListTargetsByRule", "PutRule", "PutTargets")
_TOPIC = ("CreateTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Subscribe")


def policy_of(system: System, *, key: str) -> dict[str, Any]:
    """Return the deployer's policy; `key` is the ARN of the key that wraps the tenants' keys."""
    return policy([*_what_it_sees(system, key), *_what_it_makes(system), *_what_people_are_told(system)])


def _what_it_sees(system: System, key: str) -> Iterator[dict[str, Any]]:
    """Keys and roles an administrator makes; it gives the functions theirs, and is no one's but Lambda's to do so."""
    roles = [system.role_arn(stage) for stage in system.stages]
    yield allow("SeeWhoMayWhat", ["iam:GetRole", "iam:GetRolePolicy"], [*roles, system.role_arn(ROLE)])
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    yield allow("GiveFunctionsTheirRole", ["iam:PassRole"], roles, to_lambda)
    yield allow("SeeTheKey", _of("kms", "DescribeKey", "GetKeyRotationStatus"), [key])


def _what_it_makes(system: System) -> Iterator[dict[str, Any]]:
    functions = [system.function_arn(stage) for stage in system.stages]
    bucket = f"arn:aws:s3:::{system.bucket('packages')}"
    settings = [f"{verb}{part}" for verb in ("Get", "Put") for part in _READ_BUCKET]
    buckets = [bucket, f"arn:aws:s3:::{system.bucket('media')}"]
    yield allow("Buckets", _of("s3", "CreateBucket", "ListBucket", *settings), buckets)
    yield allow("Packages", _of("s3", "DeleteObject", "GetObject", "PutObject"), [f"{bucket}/*"])
    if system.static:
        files = f"arn:aws:s3:::{system.static.bucket}"
        yield allow("StaticFiles", _of("s3", "GetObject", "PutObject"), [f"{files}/*"])
        yield allow("SeeStaticFiles", ["s3:ListBucket"], [files])
    yield allow(
        "Queues", _of("sqs", *_QUEUE), [system.queue_arn(queue, dead=dead) for queue in Queue for dead in (False, True)]
    )
    yield allow("Functions", _of("lambda", *_FUNCTION), _with(functions, "", ":*"))
    ours = {"ArnLike": {"lambda:FunctionArn": _with(functions, ":*")}}
    yield allow("Triggers", _of("lambda", *_TRIGGER), ["*"], ours)
    yield allow("SeeTriggers", ["lambda:ListEventSourceMappings"], ["*"])
    stacks = [system.arn("cloudformation", f"stack/{function(stage)}/*") for stage in PAGES]
    yield allow("Stacks", _of("cloudformation", *_STACK), stacks)
    gateway = f"arn:aws:apigateway:{system.region}::"
    hosts = [f"{gateway}/domainnames/{system.host(stage)}" for stage in PAGES]
    apis = [f"{gateway}/apis", f"{gateway}/apis/*", f"{gateway}/domainnames"]
    yield allow("Apis", _of("apigateway", *_API), [*apis, *_with(hosts, "", "/*")])
    yield allow("Rules", _of("events", *_RULE), [system.arn("events", f"rule/{system.name('*')}")])


def _what_people_are_told(system: System) -> Iterator[dict[str, Any]]:
    groups = {stage: system.arn("logs", f"log-group:{log_group(function(stage))}") for stage in system.stages}
    yield allow("Logs", _of("logs", "CreateLogGroup", "PutRetentionPolicy"), _with(groups.values(), "", ":*"))
    yield allow("SeeLogs", ["logs:DescribeLogGroups"], [system.arn("logs", "log-group:*")])
    counting = _of("logs", "DescribeMetricFilters", "PutMetricFilter")
    yield allow("CountRollUps", counting, _with([groups["jobs"]], "", ":*"))
    alarms = system.arn("cloudwatch", f"alarm:{system.name('*')}")
    yield allow("Alarms", _of("cloudwatch", "DescribeAlarms", "PutMetricAlarm"), [alarms])
    yield allow("WhomToTell", _of("sns", *_TOPIC), [system.arn("sns", system.name("alarms"))])


def _of(service: str, *actions: str) -> list[str]:
    return [f"{service}:{action}" for action in actions]


def _with(arns: Any, *endings: str) -> list[str]:
    return [f"{arn}{ending}" for arn in arns for ending in endings]

"""Policies name actions and resources, each for one environment; nothing is granted at large."""

import pytest
from botocore.session import get_session

from infra import deployer, policies
from infra.system import STAGES, System

SYSTEM = System.load("production")
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
CONNECTIONS = "arn:aws:execute-api:eu-central-1:123456789012:a1b2/live/POST/@connections/*"
POLICIES = {stage: policies.function_policy(stage, SYSTEM, key=KEY, connections=CONNECTIONS) for stage in SYSTEM.stages}
POLICIES[deployer.ROLE] = deployer.policy_of(SYSTEM, key=KEY)
UNNARROWED = {*policies.UNNARROWED, *deployer.UNNARROWED}
# What IAM calls otherwise than the operation. Source: AWS, Service Authorization Reference.
NOT_OPERATIONS = {
    *("apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"),
    *(
        "iam:PassRole",
        "lambda:InvokeFunction",
        "execute-api:ManageConnections",
        "s3:ListMultipartUploadParts",  # ListParts
        *("s3:GetBucketCORS", "s3:PutBucketCORS"),
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketPublicAccessBlock",
    ),
    "execute-api:ManageConnections",
    "s3:ListMultipartUploadParts",  # ListParts
    *("s3:GetBucketCORS", "s3:PutBucketCORS"),
    *("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", "s3:ListBucket"),
    *("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
}


def too_wide(policy) -> list[str]:
    """Return the statements that grant more than is named."""
    return [
        statement["Sid"]
        for statement in policy["Statement"]
        if any("*" in action for action in statement["Action"])
        or ("*" in statement["Resource"] and not UNNARROWED.issuperset(statement["Action"]))
        or "NotAction" in statement
        or "NotResource" in statement
    ]


@pytest.mark.parametrize("role", POLICIES)
def test_nothing_is_granted_at_large(role):
    assert too_wide(POLICIES[role]) == []


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["s3:*"], "Resource": ["arn:aws:s3:::fatfire-production-packages"]},
        {"Action": ["s3:GetObject"], "Resource": ["*"]},
        {"Action": ["lambda:ListEventSourceMappings", "s3:GetObject"], "Resource": ["*"]},
        {"Action": [], "NotAction": ["s3:GetObject"], "Resource": ["arn:aws:s3:::fatfire-production-packages"]},
    ],
)
def test_what_is_granted_at_large_is_found(statement):
    assert too_wide({"Statement": [{"Sid": "Planted", **statement}]}) == ["Planted"]


@pytest.mark.parametrize("role", POLICIES)
def test_every_resource_is_of_this_environment_or_account(role):
    resources = {each for statement in POLICIES[role]["Statement"] for each in statement["Resource"]} - {"*"}

    foreign = {each for each in resources if "fatfire" not in each and SYSTEM.account not in each}
    gateway = f"arn:aws:apigateway:{SYSTEM.region}::"
    assert foreign == (
        {f"{gateway}/apis", f"{gateway}/apis/*", f"{gateway}/domainnames"}
        | {f"{gateway}/domainnames/{host}.example.com{rest}" for host in ("app", "console") for rest in ("", "/*")}
        if role == deployer.ROLE
        else set()
    )


def test_every_action_exists():
    session = get_session()
    for action in {action for policy in POLICIES.values() for each in policy["Statement"] for action in each["Action"]}:
        service, operation = action.split(":")
        if action not in NOT_OPERATIONS:
            models = {"apigateway": ["apigatewayv2"]}.get(service, [service])
            operations = {name for model in models for name in session.get_service_model(model).operation_names}
            assert operation in operations, action


@pytest.mark.parametrize("stage", STAGES)
def test_a_function_reads_its_own_secrets_and_no_others(stage):
    read = [each["Resource"] for each in POLICIES[stage]["Statement"] if each["Sid"] == "ReadItsSecrets"]

    path = f"arn:aws:ssm:eu-central-1:123456789012:parameter/fatfire/production/{stage}"
    assert read == [[path, f"{path}/*"]]


@pytest.mark.parametrize("stage", STAGES)
def test_who_reads_files_is_told_of_one_that_is_missing(stage):
    """Without ListBucket S3 answers 403 instead of 404. Source: AWS, S3 API Reference, HeadObject, permissions."""
    actions = {action for each in POLICIES[stage]["Statement"] for action in each["Action"]}

    assert "s3:ListBucket" in actions or "s3:GetObject" not in actions


def test_nobody_who_deploys_can_give_a_right():
    actions = {action for each in POLICIES[deployer.ROLE]["Statement"] for action in each["Action"]}

    assert {each for each in actions if each.startswith("iam:")} == {"iam:GetRole", "iam:GetRolePolicy", "iam:PassRole"}
    assert {each for each in actions if each.startswith("kms:")} == {"kms:DescribeKey", "kms:GetKeyRotationStatus"}

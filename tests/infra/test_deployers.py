"""Who may deploy: people whom administrators let, and one workflow."""

import pytest
from pydantic import ValidationError

from infra.policies import deployers_trust
from infra.system import System

PRODUCTION = System.load("production")
SUBJECT = "repo:example/wealth:environment:production"


def with_subject(subject: str) -> System:
    return System.model_validate({**PRODUCTION.model_dump(), "github_subject": subject})


def test_without_a_workflow_only_people_may():
    assert [each["Principal"] for each in deployers_trust(PRODUCTION)["Statement"]] == [
        {"AWS": "arn:aws:iam::123456789012:root"}
    ]


def test_workflow_is_held_to_its_repository_and_environment():
    workflow = deployers_trust(with_subject(SUBJECT))["Statement"][1]

    assert workflow == {
        "Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": SUBJECT,
            }
        },
    }


@pytest.mark.parametrize("subject", ["repo:example/wealth:*", "repo:example/*:environment:production", "anything"])
def test_subject_that_means_many_is_refused(subject):
    with pytest.raises(ValidationError, match="github_subject"):
        with_subject(subject)

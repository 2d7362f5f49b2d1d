"""After all the other tests of this folder: each role's policy grants the calls that were made, and no others."""

import pytest

from infra import deployer, policies
from infra.local import ACCOUNT
from infra.system import STAGES


def granted(policy) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def made(deployed, role) -> set[str]:
    by = f"arn:aws:sts::{ACCOUNT}:assumed-role/{deployed.here.system.name(role)}/"
    calls = [call for call in deployed.calls() if call["by"].startswith(by)]
    assert [call for call in calls if call["denied"]] == []
    return {call["action"] for call in calls}


@pytest.mark.parametrize("stage", STAGES)
def test_a_function_has_the_rights_that_it_used(deployed, stage):
    policy = policies.function_policy(stage, deployed.here.system, key="key", connections="pages")

    used = made(deployed, stage)
    assert used <= granted(policy)
    assert granted(policy) - used <= policies.BY_AWS.keys() | policies.SELDOM.get(stage, {}).keys()


def test_the_deployer_has_the_rights_that_it_used(deployed):
    policy = deployer.policy_of(deployed.here.system, key="key")

    used = made(deployed, deployer.ROLE) - {"sts:GetCallerIdentity"}  # which nobody needs a right for
    assert used <= granted(policy)
    assert granted(policy) - used <= deployer.UNSEEN.keys()

"""The roles, which only an administrator may change: whoever deploys can give no one a right."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws import Account, or_none
from infra.change import Change
from infra.system import System

POLICY = "permissions"


@dataclass(frozen=True)
class Role:
    """A role, who may take it, and its one policy."""

    account: Account
    system: System
    role: str
    trust: Mapping[str, Any]
    policy: Mapping[str, Any]

    def changes(self) -> Iterator[Change]:
        """Yield its creation, a trust or a policy that differ."""
        iam, name = self.account.client("iam"), self.system.name(self.role)
        trust, policy = json.dumps(self.trust), json.dumps(self.policy)
        found = or_none(iam.get_role, RoleName=name)
        if found is None:
            create = lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)  # noqa: E731
            yield Change(f"role {name}", "create", create)
        elif found["Role"]["AssumeRolePolicyDocument"] != self.trust:
            update = lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)  # noqa: E731
            yield Change(f"role {name}", "who may take it", update)
        granted = or_none(iam.get_role_policy, RoleName=name, PolicyName=POLICY)
        if granted is None or granted["PolicyDocument"] != self.policy:
            put = lambda: iam.put_role_policy(RoleName=name, PolicyName=POLICY, PolicyDocument=policy)  # noqa: E731
            yield Change(f"role {name}", "what it may do", put)

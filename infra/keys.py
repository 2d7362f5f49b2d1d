"""The key that wraps the tenants' keys. Whoever deploys can neither use it nor delete it."""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.aws import Account, or_none
from infra.change import Change
from infra.system import System


def alias(system: System) -> str:
    """Return the name of the key."""
    return system.key_alias


def arn(account: Account, system: System) -> str:
    """Return the key's ARN; before it is made, one that is nobody's."""
    found = or_none(account.client("kms").describe_key, KeyId=alias(system))
    return str(found["KeyMetadata"]["Arn"]) if found else system.arn("kms", "key/to-be-made")


@dataclass(frozen=True)
class MasterKey:
    """A key of KMS, turned over every year; it never leaves KMS."""

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its rotation where that is off."""
        kms, name = self.account.client("kms"), alias(self.system)
        found = or_none(kms.describe_key, KeyId=name)
        if found is None:
            yield Change(f"key {name}", "create, turned over every year", self._create)
            return
        key = found["KeyMetadata"]["KeyId"]
        if not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]:
            yield Change(f"key {name}", "turn it over every year", lambda: kms.enable_key_rotation(KeyId=key))

    def _create(self) -> None:
        kms = self.account.client("kms")
        made = kms.create_key(Description=f"wraps the tenants' keys of {self.system.environment}")
        key = made["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=alias(self.system), TargetKeyId=key)
        kms.enable_key_rotation(KeyId=key)

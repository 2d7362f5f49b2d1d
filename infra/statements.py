"""Statements of policies, as IAM writes them."""

from collections.abc import Iterable, Mapping
from typing import Any


def allow(
    sid: str, actions: Iterable[str], resources: Iterable[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a statement that allows these actions on these resources."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
    return {**statement, **({"Condition": condition} if condition else {})}


def policy(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [*statements]}

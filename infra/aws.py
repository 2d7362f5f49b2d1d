"""An AWS account and the clients of its services."""

import threading
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

__all__ = ["Account", "BotoCoreError", "ClientError", "or_none"]

_MISSING = ("NotFound", "NoSuch", "NonExistentQueue", "QueueDoesNotExist", "ParameterNotFound", "404")


class Account:
    """An AWS account, in one region, opened with somebody's credentials."""

    def __init__(self, session: boto3.Session, *, endpoint: str | None = None) -> None:
        """Open it; nothing is asked yet."""
        self._session, self._endpoint = session, endpoint
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def at_hand(cls, region: str) -> "Account":
        """Return the account whose credentials are in the environment (AWS_ENDPOINT_URL leads to an emulator)."""
        return cls(boto3.Session(region_name=region))

    def client(self, service: str) -> Any:
        """Return the client of a service; threads may share it."""
        with self._lock:  # making one isn't safe to do twice at once
            if service not in self._clients:
                retries = Config(retries={"mode": "standard", "max_attempts": 8})
                self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, config=retries)
            return self._clients[service]

    def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            client.close()

    def number(self) -> str:
        """Return the account's number."""
        return str(self.client("sts").get_caller_identity()["Account"])


def or_none(ask: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any] | None:
    """Return AWS's answer, or None when it says that what was asked for doesn't exist."""
    try:
        return ask(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # CloudFormation has no word of its own for a stack that isn't there.
        if any(word in code for word in _MISSING) or "does not exist" in error.response["Error"]["Message"]:
            return None
        raise

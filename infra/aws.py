"""One session for the deployment, and its clients."""

import threading
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

__all__ = ["Account", "BotoCoreError", "ClientError", "or_none"]

_MISSING = ("NotFound", "NoSuch", "NonExistentQueue", "QueueDoesNotExist", "ParameterNotFound", "404")


class Account:
    """The AWS account that the environment's credentials open (AWS_ENDPOINT_URL leads to an emulator)."""

    def __init__(self, region: str) -> None:
        """Open it in `region`; nothing is asked yet."""
        self._session = boto3.Session(region_name=region)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return the client of a service; threads may share it."""
        with self._lock:  # making one isn't safe to do twice at once
            if service not in self._clients:
                retries = Config(retries={"mode": "standard", "max_attempts": 8})
                self._clients[service] = self._session.client(service, config=retries)
            return self._clients[service]

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

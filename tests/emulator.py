"""The emulator of AWS, and how a test speaks to it."""

from typing import Any

import boto3

from infra.emulator import ROOT, running_emulator

__all__ = ["ROOT", "client", "running_emulator"]


def client(service: str, endpoint: str, **credentials: str) -> Any:
    """Return a client of the emulated service, as the account's root when no credentials are given."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=ROOT["AWS_DEFAULT_REGION"],
        aws_access_key_id=credentials.get("access_key_id", ROOT["AWS_ACCESS_KEY_ID"]),
        aws_secret_access_key=credentials.get("secret_access_key", ROOT["AWS_SECRET_ACCESS_KEY"]),
    )

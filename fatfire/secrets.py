"""A function's secrets: parameters of SSM, put into the environment before the settings are read."""

import os


def load() -> None:
    """Set each parameter under SECRETS_PREFIX as the environment variable of its name; without one, do nothing."""
    prefix = os.environ.get("SECRETS_PREFIX")
    if not prefix:
        return
    import boto3  # type: ignore[import-untyped]

    pages = boto3.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix, WithDecryption=True)
    for page in pages:
        for parameter in page["Parameters"]:
            os.environ.setdefault(parameter["Name"].removeprefix(prefix), parameter["Value"])

"""Clients of AWS: made when first needed, kept for the process, and never used inside a database transaction.

AWS_ENDPOINT_URL (boto3's own variable) leads all of them to the emulator.
"""

import functools
import os
import threading
from typing import Any

from fatfire.kit.http import refuse_in_transaction

_lock = threading.Lock()


def client(service: str) -> Any:
    """Return the process's client of a service ("sqs"); boto3's clients may be shared by threads, not by forks.

    Raises:
        botocore.exceptions.NoRegionError: AWS_DEFAULT_REGION isn't set (on Lambda it is).
    """
    return _client(service, os.getpid())


@functools.cache
def _client(service: str, _process: int) -> Any:
    # Half of a cold start: who needs no AWS doesn't pay for it.
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    with _lock:  # making one isn't safe to do twice at once
        made = boto3.client(
            service,
            config=Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4}),
        )
    made.meta.events.register("before-send", _check)
    return made


def _check(**_: object) -> None:
    refuse_in_transaction()

"""Clients of AWS: made when first needed, kept for the process, and never used inside a database transaction.

AWS_ENDPOINT_URL (boto3's own variable) leads all of them to the emulator.
"""

import functools
import os
import threading
from typing import TYPE_CHECKING, Any

from fatfire.kit.http import refuse_in_transaction

if TYPE_CHECKING:
    from botocore.config import Config  # type: ignore[import-untyped]

_lock = threading.Lock()


def client(service: str, *, endpoint: str | None = None, patience_s: int = 30, config: "Config | None" = None) -> Any:
    """Return the process's client of a service ("sqs"); boto3's clients may be shared by threads, not by forks.

    `endpoint`: where the service is, when that isn't AWS's to say. A call without an answer is given up after
    `patience_s`. `config` is what else is special; the same object means the same client.

    Raises:
        botocore.exceptions.NoRegionError: AWS_DEFAULT_REGION isn't set (on Lambda it is).
    """
    return _client(service, endpoint, patience_s, config, os.getpid())


@functools.cache
def _client(service: str, endpoint: str | None, patience_s: int, special: "Config | None", _process: int) -> Any:
    # Half of a cold start: who needs no AWS doesn't pay for it.
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config

    config = Config(
        connect_timeout=min(5, patience_s),
        read_timeout=patience_s,
        retries={"mode": "standard", "max_attempts": 4 if patience_s >= 30 else 1},
    )
    with _lock:  # making one isn't safe to do twice at once
        # A session of its own: boto3's default one keeps for ever what credentials it saw first.
        made = boto3.Session().client(
            service, endpoint_url=endpoint, config=config.merge(special) if special else config
        )
    made.meta.events.register("before-send", _check)
    return made


def forget() -> None:
    """Let the clients go; the next use makes new ones, for where AWS_ENDPOINT_URL leads by then."""
    _client.cache_clear()


def _check(**_: object) -> None:
    refuse_in_transaction()

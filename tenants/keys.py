"""Wrapping the tenants' data keys: by a key of KMS (KMS_KEY_ID), or by the one in MASTER_KEY_FILE.

What is wrapped begins with a byte that says by which, and is bound to its tenant: as another's it doesn't unwrap.
Unwrapped keys are kept in the process for five minutes, so that KMS isn't asked each time; what is disabled in KMS
opens for no longer than that.
"""

import secrets
import threading
import time
from collections import OrderedDict
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from fatfire.kit import aws
from fatfire.kit.errors import TransientError
from fatfire.kit.http import refuse_in_transaction
from tenants.seal import SealBroken, open_sealed, seal

KEPT_S = 300
KEPT_AT_MOST = 1024


class Way(bytes, Enum):
    """What wraps a key: the first byte of what is wrapped."""

    FILE = b"\x01"
    KMS = b"\x02"


_KEY_BYTES = 32
# Source: AWS, KMS API Reference, Decrypt and Encrypt, and the errors that all services have in common.
_PASSING = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
}


class KeysUnavailable(TransientError):
    """The keys can't be reached at the moment."""

    code = "keys_unavailable"


def new_key() -> bytes:
    """Return a new data key, 32 random bytes."""
    return secrets.token_bytes(_KEY_BYTES)


def way_set() -> Way:
    """Return what the settings say: KMS where there is a KMS_KEY_ID."""
    return Way.KMS if settings.KMS_KEY_ID else Way.FILE


def wrap(key: bytes, *, tenant_id: UUID, by: Way | None = None) -> bytes:
    """Return a tenant's data key, wrapped as the settings say or in that way. No transaction may be open.

    Raises:
        NetworkInTransaction: one is open, whether KMS is asked or not.
        KeysUnavailable: try again later.
        botocore.exceptions.ClientError: KMS refuses.
        OSError, ValueError: MASTER_KEY_FILE holds no key, or KMS_KEY_ID isn't set.
    """
    refuse_in_transaction()
    way = by or way_set()
    if way == Way.KMS:
        wrapped: bytes = _kms("encrypt", tenant_id, Plaintext=key)["CiphertextBlob"]
    else:
        wrapped = seal(_master_key(settings.MASTER_KEY_FILE), key, bound_to=str(tenant_id).encode())
    return way.value + wrapped


def unwrap(wrapped: bytes, *, tenant_id: UUID) -> bytes:
    """Return the data key that was wrapped for this tenant. No transaction may be open.

    Raises:
        NetworkInTransaction: one is open, even when the key is at hand: it would fail when it isn't.
        SealBroken: it was wrapped for another tenant or by another key, or was changed.
        KeysUnavailable, botocore.exceptions.ClientError, OSError, ValueError: as `wrap`; ValueError also when it was
            wrapped in no way that this code knows.
    """
    refuse_in_transaction()
    place = (tenant_id, wrapped)
    if (kept := _kept.get(place)) is not None:
        return kept
    key = _unwrap(wrapped, tenant_id)
    _kept.put(place, key)
    return key


def forget() -> None:
    """Let the unwrapped keys go that this process keeps."""
    _kept.clear()
    _master_key.cache_clear()


def read_master_key(path: Path) -> bytes:
    """Return the master key that the file holds in hexadecimal.

    Raises:
        OSError: the file can't be read.
        ValueError: it doesn't hold 32 bytes. (AES would take 16 or 24 without a word.)
    """
    key = bytes.fromhex(path.read_text())
    if len(key) != _KEY_BYTES:
        msg = f"{path} does not hold {_KEY_BYTES} bytes in hexadecimal"
        raise ValueError(msg)
    return key


@cache
def _master_key(path: Path) -> bytes:
    return read_master_key(path)


def _unwrap(wrapped: bytes, tenant_id: UUID) -> bytes:
    way, rest = wrapped[:1], wrapped[1:]
    if way == Way.FILE:
        return open_sealed(_master_key(settings.MASTER_KEY_FILE), rest, bound_to=str(tenant_id).encode())
    if way == Way.KMS:
        key: bytes = _kms("decrypt", tenant_id, CiphertextBlob=rest)["Plaintext"]
        return key
    msg = "the tenant's key is wrapped in no way that this code knows"
    raise ValueError(msg)


def _kms(call: str, tenant_id: UUID, **arguments: Any) -> dict[str, Any]:
    """Ask KMS to encrypt or decrypt under our key, bound to the tenant."""
    if not settings.KMS_KEY_ID:
        msg = "a tenant's key is wrapped by KMS, and KMS_KEY_ID is not set"
        raise ValueError(msg)
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # type: ignore[import-untyped]

    try:
        answer: dict[str, Any] = getattr(aws.client("kms"), call)(
            KeyId=settings.KMS_KEY_ID, EncryptionContext={"tenant": str(tenant_id)}, **arguments
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"InvalidCiphertextException", "IncorrectKeyException"}:
            raise SealBroken from error
        if code in _PASSING:
            raise KeysUnavailable from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        raise KeysUnavailable from error
    return answer


class _Kept:
    """Unwrapped keys by tenant and wrapped key, each for `KEPT_S`, the oldest first to go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[UUID, bytes], tuple[float, bytes]] = OrderedDict()

    def get(self, place: tuple[UUID, bytes]) -> bytes | None:
        """Return the key, or None when it isn't kept, or no longer."""
        with self._lock:
            self._drop()
            return self._keys[place][1] if place in self._keys else None

    def put(self, place: tuple[UUID, bytes], key: bytes) -> None:
        """Keep the key."""
        with self._lock:
            self._keys[place] = (time.monotonic() + KEPT_S, key)
            self._keys.move_to_end(place)
            self._drop()

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._keys.clear()

    def _drop(self) -> None:
        """Drop what was kept for long enough, and what is too many."""
        while self._keys:
            place, (until, _) = next(iter(self._keys.items()))
            if until > time.monotonic() and len(self._keys) <= KEPT_AT_MOST:
                return
            del self._keys[place]


_kept = _Kept()

"""Encrypting single values at rest: AES-256-GCM under a data key of the tenant, itself wrapped by the master key.

The ciphertext is bound to its tenant, table, row and column: moved elsewhere it doesn't open. Deleting the tenant's
row of TenantKey makes everything that it encrypted unreadable, in backups too.
"""

import os
from functools import cache
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db.models import Model

from tenants.isolation import TenantNotSet, current_tenant_id
from tenants.models import TenantKey

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


def encrypt(plain: str, *, model: type[Model], row_id: UUID, column: str) -> bytes:
    """Return `plain` encrypted for that place of the current tenant; a data key is made at first use."""
    return _seal(_data_key(), plain.encode(), _place(model, row_id, column))


def decrypt(sealed: bytes, *, model: type[Model], row_id: UUID, column: str) -> str:
    """Return what was encrypted for that place of the current tenant.

    Raises:
        cryptography.exceptions.InvalidTag: it was encrypted for another place or key, or was changed.
        ValueError: it isn't of a version that this code knows.
    """
    return _open(_data_key(), bytes(sealed), _place(model, row_id, column)).decode()


def _data_key() -> bytes:
    """Return the tenant's data key; of two requests that make the first one, both use the one that was stored."""
    tenant_id = str(_tenant_id()).encode()
    stored = TenantKey.objects.first()
    if stored is None:
        wrapped = _seal(_master_key(settings.MASTER_KEY_FILE), AESGCM.generate_key(256), tenant_id)
        TenantKey.objects.bulk_create([TenantKey(wrapped=wrapped)], ignore_conflicts=True)
        stored = TenantKey.objects.get()
    return _open(_master_key(settings.MASTER_KEY_FILE), bytes(stored.wrapped), tenant_id)


@cache
def _master_key(path: Path) -> bytes:
    return read_master_key(path)


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


def _tenant_id() -> UUID:
    """Return the open tenant; across tenants there is no key to choose."""
    tenant_id = current_tenant_id()
    if tenant_id is None:
        msg = "encryption needs tenant(...): operator() has no key"
        raise TenantNotSet(msg)
    return tenant_id


def _place(model: type[Model], row_id: UUID, column: str) -> bytes:
    return f"{_tenant_id()}|{model._meta.db_table}|{row_id}|{column}".encode()


def _seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    if sealed[:1] != _VERSION:
        msg = "not encrypted by a version of this code"
        raise ValueError(msg)
    return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], bound_to)

"""Encrypting single values at rest: AES-256-GCM under a data key of the tenant, itself wrapped by the master key.

The ciphertext is bound to its tenant, table, row and column: moved elsewhere it doesn't open. Deleting the tenant's row of
TenantKey makes everything that it encrypted unreadable, in backups too.
"""

import os
from functools import cache
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db.models import Model

from tenants.isolation import current_tenant_id
from tenants.models import TenantKey

_VERSION = b"\x01"
_NONCE_BYTES = 12


def encrypt(plain: str, *, model: type[Model], row_id: UUID, column: str) -> bytes:
    """Return `plain` encrypted for that place of the current tenant; a data key is made at first use."""
    return _seal(_data_key(), plain.encode(), _place(model, row_id, column))


def decrypt(sealed: bytes, *, model: type[Model], row_id: UUID, column: str) -> str:
    """Return what was encrypted for that place of the current tenant.

    Raises:
        cryptography.exceptions.InvalidTag: it was encrypted for another place or key, or was changed.
    """
    return _open(_data_key(), bytes(sealed), _place(model, row_id, column)).decode()


def _data_key() -> bytes:
    """Return the tenant's data key; of two requests that make the first one, both use the one that was stored."""
    tenant_id = str(current_tenant_id()).encode()
    stored = TenantKey.objects.first()
    if stored is None:
        wrapped = _seal(_master_key(settings.MASTER_KEY_FILE), AESGCM.generate_key(256), tenant_id)
        TenantKey.objects.bulk_create([TenantKey(wrapped=wrapped)], ignore_conflicts=True)
        stored = TenantKey.objects.get()
    return _open(_master_key(settings.MASTER_KEY_FILE), bytes(stored.wrapped), tenant_id)


@cache
def _master_key(path: Path) -> bytes:
    return bytes.fromhex(path.read_text())


def _place(model: type[Model], row_id: UUID, column: str) -> bytes:
    return f"{current_tenant_id()}|{model._meta.db_table}|{row_id}|{column}".encode()


def _seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    if sealed[:1] != _VERSION:
        msg = "encrypted by a newer version"
        raise ValueError(msg)
    return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], bound_to)

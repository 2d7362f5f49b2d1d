"""Encrypting single values at rest: AES-256-GCM under a data key of the tenant, which is wrapped (tenants.keys).

The ciphertext is bound to its tenant, table, row and column: moved elsewhere it doesn't open. Deleting the tenant's
row of TenantKey makes everything that it encrypted unreadable, in backups of other tables too: nobody gets a cipher
any more, and what processes keep of the key is in their memory alone, for minutes.
"""

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Model

from fatfire.kit.http import refuse_in_transaction
from tenants import keys
from tenants.isolation import tenant
from tenants.models import TenantKey
from tenants.seal import open_sealed, seal

_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Cipher:
    """Encrypts and decrypts one tenant's values, in transactions or outside. Not to be kept beyond an operation."""

    tenant_id: UUID
    _key: bytes = field(repr=False)

    def encrypt(self, plain: str, *, model: type[Model], row_id: UUID, column: str) -> bytes:
        """Return `plain` encrypted for that place."""
        return _VERSION + seal(self._key, plain.encode(), bound_to=self._place(model, row_id, column))

    def decrypt(self, sealed: bytes, *, model: type[Model], row_id: UUID, column: str) -> str:
        """Return what was encrypted for that place.

        Raises:
            SealBroken: it was encrypted for another place or key, or was changed.
            ValueError: it isn't of a version that this code knows.
        """
        sealed = bytes(sealed)  # as Django reads it, it is a memoryview
        if sealed[:1] != _VERSION:
            msg = "not encrypted by a version of this code"
            raise ValueError(msg)
        return open_sealed(self._key, sealed[1:], bound_to=self._place(model, row_id, column)).decode()

    def _place(self, model: type[Model], row_id: UUID, column: str) -> bytes:
        return f"{self.tenant_id}|{model._meta.db_table}|{row_id}|{column}".encode()


def open_cipher(tenant_id: UUID) -> Cipher:
    """Return the tenant's cipher; its data key is made at first use. No transaction may be open: KMS is far away.

    The key's row is read each time. Of two that make the first key, both use the one that was stored.

    Raises:
        NetworkInTransaction: one is open, even where no KMS is asked.
        KeysUnavailable: try again later.
        SealBroken, botocore.exceptions.ClientError, OSError, ValueError: see tenants.keys.
    """
    refuse_in_transaction()
    with tenant(tenant_id):
        stored = TenantKey.objects.first()
    if stored is None:
        wrapped = keys.wrap(keys.new_key(), tenant_id=tenant_id)
        with tenant(tenant_id):
            TenantKey.objects.bulk_create([TenantKey(wrapped=wrapped)], ignore_conflicts=True)
            stored = TenantKey.objects.get()
    return Cipher(tenant_id, keys.unwrap(bytes(stored.wrapped), tenant_id=tenant_id))

"""Who is asking."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.http import HttpRequest

from fatfire.kit.errors import NotAuthenticated
from services.accounts.models import ApiKey
from tenants.isolation import shared
from tenants.models import Tenant, User
from tenants.permissions import Role


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Where an API key belongs."""

    tenant_id: UUID
    api_key_id: UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, in which tenant, with which role."""

    tenant_id: UUID
    user_id: UUID
    role: Role
    api_key_id: UUID | None = None
    key_used_at: dt.datetime | None = None


def digest_of(secret: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def owner_of_key(*, secret: str) -> KeyOwner | None:
    """Return the tenant of an API key, whatever its state; None when there is no such key. Opens `shared()`."""
    with shared(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, api_key_id FROM lookup.api_key(%s)", [digest_of(secret)])
        row = cursor.fetchone()
    return KeyOwner(*row) if row else None


def principal_of_key(*, api_key_id: UUID, at: dt.datetime) -> Principal | None:
    """Return who the key acts for, with the lesser of the key's and the member's role; None when it is revoked or expired."""
    key = (
        ApiKey.objects.select_related("membership")
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=at), id=api_key_id, revoked_at__isnull=True)
        .first()
    )
    if key is None:
        return None
    key_role, member_role = Role(key.role), Role(key.membership.role)
    return Principal(
        tenant_id=key.tenant_id,
        user_id=key.membership.user_id,
        role=member_role if key_role.allows(member_role) else key_role,
        api_key_id=key.id,
        key_used_at=key.last_used_at,
    )


def current_tenant() -> Tenant:
    """Return the open scope's tenant."""
    return Tenant.objects.get()


def get_user(*, user_id: UUID) -> User:
    """Return a person, whatever their tenants.

    Raises:
        User.DoesNotExist: there is none.
    """
    return User.objects.get(id=user_id)


def principal_of(request: HttpRequest) -> Principal:
    """Return who makes the request, as the middleware found them.

    Raises:
        NotAuthenticated: nobody known.
    """
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        raise NotAuthenticated
    return principal

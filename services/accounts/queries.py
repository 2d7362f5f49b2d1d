"""Who is asking; a tenant's keys and its audit trail. Lists come as querysets in no order, to be paginated."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.db import connection
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from fatfire.kit.errors import NotAuthenticated
from services.accounts.models import ApiKey
from tenants.isolation import shared
from tenants.models import AuditEvent, Membership, Tenant, User
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
    key_requests: int = 0
    """Answered by now within the minute to those who came with this key."""


def digest_of(secret: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def owner_of_key(*, secret: str) -> KeyOwner | None:
    """Return the tenant of an API key, whatever its state; None when there is none. Opens `shared()` at first sight."""
    try:
        return _owner_of_digest(digest_of(secret))
    except LookupError:
        return None


@lru_cache(maxsize=4096)  # where a key belongs never changes; what it may do is read anew for every request
def _owner_of_digest(digest: bytes) -> KeyOwner:
    with shared(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, api_key_id FROM lookup.api_key(%s)", [digest])
        row = cursor.fetchone()
    if row is None:
        raise LookupError  # not kept: the key may be about to be committed
    return KeyOwner(*row)


def principal_of_key(*, api_key_id: UUID, secret: str, at: dt.datetime) -> Principal | None:
    """Return who the key acts for, with the lesser of its and the member's role.

    None when it is revoked or expired, is another tenant's, or has another secret.
    """
    with connection.cursor() as cursor:  # every request pays for this one: the ORM would take longer than PostgreSQL
        cursor.execute(_PRINCIPAL, [minute_of(at), api_key_id, digest_of(secret), at])
        row = cursor.fetchone()
    if row is None:
        return None
    tenant_id, user_id, key_role, member_role, key_requests = row
    return Principal(
        tenant_id=tenant_id,
        user_id=user_id,
        role=max(Role(key_role), Role(member_role), key=list(Role).index),
        api_key_id=api_key_id,
        key_requests=key_requests,
    )


_PRINCIPAL = """
    SELECT k.tenant_id, m.user_id, k.role, m.role, CASE WHEN k.counted_minute >= %s THEN k.counted_requests ELSE 0 END
    FROM accounts_apikey k JOIN tenants_membership m ON m.tenant_id = k.tenant_id AND m.id = k.membership_id
    WHERE k.id = %s AND k.digest = %s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s)
"""


def minute_of(at: dt.datetime) -> dt.datetime:
    """Return when the minute of `at` began: requests of a key are counted by the minute."""
    return at.replace(second=0, microsecond=0)


def current_tenant() -> Tenant:
    """Return the open scope's tenant."""
    return Tenant.objects.get()


def list_members() -> QuerySet[Membership]:
    """Return the tenant's memberships with their users."""
    return Membership.objects.select_related("user")


def list_api_keys() -> QuerySet[ApiKey]:
    """Return the tenant's keys with their members and users; the revoked and the expired ones too."""
    # Not joined: PostgreSQL takes the join for a small one and sorts all keys, rather than reading a page by the index.
    members = Membership.objects.select_related("user")
    return ApiKey.objects.prefetch_related(Prefetch("membership", members)).defer("digest")


def get_api_key(*, api_key_id: UUID) -> ApiKey:
    """Return one key with its member and user.

    Raises:
        ApiKey.DoesNotExist: not this tenant's.
    """
    return list_api_keys().get(id=api_key_id)


def list_audit_events() -> QuerySet[AuditEvent]:
    """Return what was done in the tenant."""
    return AuditEvent.objects.all()


def names_of(*, user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return what each person is called: their name, else their e-mail address; also of who is no member any more."""
    found = User.objects.filter(id__in=set(user_ids)).values_list("id", "name", "email")
    return {user_id: name or email for user_id, name, email in found}


def get_user(*, user_id: UUID) -> User:
    """Return a member of the tenant.

    Raises:
        User.DoesNotExist: not this tenant's.
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


def tenant_count() -> int:
    """Return how many tenants there are. Across tenants."""
    return Tenant.objects.count()


def user_count() -> int:
    """Return how many people there are."""
    return User.objects.count()

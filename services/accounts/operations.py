"""Letting people and programs in: tenants with their owners, API keys."""

import datetime as dt
import secrets
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, connection

from fatfire.kit import clock
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.locales import require_locale
from fatfire.kit.money import require_currency
from services.accounts.models import ApiKey, SignInRequest, SignInToken
from services.accounts.queries import Principal, digest_of, minute_of
from tenants import audit
from tenants.isolation import operator
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role

KEY_PREFIX = "ff_"
"""Starts every key, so that secret scanners can find one that leaked."""


class SlugTaken(DomainError):
    """Another tenant has this slug."""

    code = "slug_taken"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key at the only moment when its secret is known."""

    id: UUID
    secret: str


def create_tenant(
    *, name: str, slug: str, owner_email: str, home_currency: str, time_zone: str, country: str, at: dt.datetime
) -> Tenant:
    """Create a tenant and its owner's membership (and the user, where the e-mail address is new). Across tenants.

    Raises:
        SlugTaken: the slug is in use.
        InvalidInput: the currency or time zone doesn't exist.
    """
    tenant = Tenant(
        name=name,
        slug=slug,
        home_currency=require_currency(home_currency, field="home_currency"),
        time_zone=clock.require_time_zone(time_zone),
        country=country,
        created_at=at,
    )
    with operator():
        try:
            tenant.save(force_insert=True)
        except IntegrityError as error:
            if "tenants_tenant_slug" not in str(error):
                raise
            raise SlugTaken from error
        user, _ = User.objects.get_or_create(
            email__iexact=owner_email, defaults={"email": owner_email, "created_at": at}
        )
        Membership.objects.create(tenant=tenant, user=user, role=Role.OWNER, created_at=at)
    return tenant


def update_tenant(*, name: str, home_currency: str, time_zone: str, at: dt.datetime) -> Tenant:
    """Change what the open scope's tenant is called, reckons in by default, and when its day ends.

    Portfolios keep their own currency and time zone.

    Raises:
        InvalidInput: the currency or time zone doesn't exist.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).get()
    tenant.name = name
    tenant.home_currency = require_currency(home_currency, field="home_currency")
    tenant.time_zone = clock.require_time_zone(time_zone)
    tenant.save(update_fields=["name", "home_currency", "time_zone"])
    audit.record(
        action="update",
        subject="tenant",
        subject_id=tenant.id,
        at=at,
        name=name,
        home_currency=home_currency,
        time_zone=time_zone,
    )
    return tenant


def update_profile(*, user_id: UUID, name: str, locale: str, at: dt.datetime) -> User:
    """Change what a member of the open scope's tenant is called, and how numbers and days are written for them.

    Raises:
        Membership.DoesNotExist: they are no member; nobody's name is changed from elsewhere.
        InvalidInput: the locale isn't offered.
    """
    locale = require_locale(locale)
    Membership.objects.get(user_id=user_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT lookup.change_profile(%s, %s, %s)", [user_id, name, locale])
    audit.record(action="update", subject="profile", subject_id=user_id, at=at, locale=locale)
    return User.objects.get(id=user_id)


def create_api_key(
    *, membership_id: UUID, name: str, role: Role, at: dt.datetime, expires_at: dt.datetime | None = None
) -> NewApiKey:
    """Make a key that acts for the membership, with at most `role`; return it with its secret, which is not kept.

    Raises:
        Membership.DoesNotExist: not this tenant's.
        InvalidInput: the member's own role is lower; a key that waits for its member to rise would be a surprise.
    """
    membership = Membership.objects.get(id=membership_id)
    if not Role(membership.role).allows(role):
        msg = f"The member is {membership.role} and can't give a key the role {role.value}."
        raise InvalidInput(msg, field="role")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        membership=membership,
        name=name,
        role=role,
        prefix=secret[:10],
        digest=digest_of(secret),
        expires_at=expires_at,
        created_at=at,
    )
    audit.record(action="create", subject="api_key", subject_id=key.id, at=at, name=name, role=role)
    return NewApiKey(id=key.id, secret=secret)


def create_own_api_key(
    *, principal: Principal, name: str, role: Role, at: dt.datetime, expires_at: dt.datetime | None = None
) -> NewApiKey:
    """Make a key that acts for who asks, as `create_api_key` does.

    Raises:
        InvalidInput: the principal's own role is lower, be it their membership's or that of the key they came with.
    """
    if not principal.role.allows(role):
        msg = f"Your role is {principal.role.value} and can't give a key the role {role.value}."
        raise InvalidInput(msg, field="role")
    membership = Membership.objects.get(user_id=principal.user_id)
    return create_api_key(membership_id=membership.id, name=name, role=role, at=at, expires_at=expires_at)


def revoke_api_key(*, api_key_id: UUID, at: dt.datetime) -> None:
    """Make the key useless from now on; once revoked, nothing changes.

    Raises:
        ApiKey.DoesNotExist: not this tenant's.
    """
    if ApiKey.objects.filter(id=api_key_id, revoked_at__isnull=True).update(revoked_at=at):
        audit.record(action="revoke", subject="api_key", subject_id=api_key_id, at=at)
    elif not ApiKey.objects.filter(id=api_key_id).exists():
        raise ApiKey.DoesNotExist


def note_key_use(*, principal: Principal, at: dt.datetime) -> None:
    """Remember that a request with the principal's key was answered, and count it within its minute.

    One statement, so that none is lost; to be called in a short transaction, since requests with one key wait here.
    """
    if principal.api_key_id is None:
        return  # a session, not a key
    with connection.cursor() as cursor:  # once for every request: the ORM would take longer
        cursor.execute(_NOTE_KEY_USE, [at, minute_of(at), minute_of(at), principal.api_key_id])


_NOTE_KEY_USE = """
    UPDATE accounts_apikey SET last_used_at = %s, counted_minute = greatest(counted_minute, %s),
        counted_requests = CASE WHEN counted_minute >= %s THEN counted_requests + 1 ELSE 1 END
    WHERE id = %s
"""


def delete_sign_ins(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` links and as many requests for one, of those made before; return how many. In `operator()`.

    Nothing finds them by their age but this: a day's worth is read through quickly.
    """
    links = SignInToken.objects.filter(created_at__lt=before).values("id")[:limit]
    requests = SignInRequest.objects.filter(created_at__lt=before).values("id")[:limit]
    deleted = SignInToken.objects.filter(id__in=links).delete()[0]
    return deleted + SignInRequest.objects.filter(id__in=requests).delete()[0]

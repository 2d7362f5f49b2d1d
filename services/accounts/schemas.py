"""What the API takes and gives for the person, their tenant, its keys and its audit trail."""

import datetime as dt
from typing import Annotated, Any, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.schemas import Body, CurrencyCode
from services.accounts.models import ApiKey
from tenants.models import AuditEvent, Tenant
from tenants.permissions import Role


class TenantOut(Schema):
    """A tenant."""

    id: UUID
    name: str
    slug: str
    home_currency: CurrencyCode
    time_zone: str
    country: str

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        """Return what is shown of the tenant."""
        return cls.model_validate(tenant, from_attributes=True)


class MeOut(Schema):
    """Who the API key acts for, and with which role."""

    user_id: UUID
    email: str
    name: str
    role: Role
    tenant: TenantOut


class ApiKeyIn(Body):
    """A key to make for oneself; without `days` it doesn't expire."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    role: Role
    days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None


class ApiKeyOut(Schema):
    """A key, by its visible start; `member` is the e-mail address of the person it acts for."""

    id: UUID
    name: str
    role: Role
    prefix: str
    member: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None
    revoked_at: dt.datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Return what is shown of a key that was read with its member and user."""
        return cls(
            id=key.id,
            name=key.name,
            role=Role(key.role),
            prefix=key.prefix,
            member=key.membership.user.email,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class ApiKeyCreated(ApiKeyOut):
    """A new key with its secret, which is never shown again."""

    secret: str


class AuditEventOut(Schema):
    """Who did what, when. `actor_id` is a user; null is a job or the command line."""

    id: UUID
    at: dt.datetime
    actor_id: UUID | None
    action: str
    subject: str
    subject_id: UUID | None
    details: dict[str, Any]

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        """Return what is shown of the event."""
        return cls.model_validate(event, from_attributes=True)

"""What the API gives for the person and their tenant."""

from typing import Self
from uuid import UUID

from ninja import Schema

from fatfire.kit.schemas import CurrencyCode
from tenants.models import Tenant
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

"""Rows for tests, each valid as it is; what a test is about, it says itself."""

import datetime as dt
import itertools
from decimal import Decimal
from uuid import UUID

from services.accounts import operations as accounts
from services.core import operations as core
from services.core.models import Asset, AssetKind, Portfolio, Side, Transaction
from tenants.isolation import operator, tenant
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role

AT = dt.datetime(2026, 11, 23, 2, 0, tzinfo=dt.UTC)
"""The present of tests: 13:00 in Sydney."""
TODAY = dt.date(2026, 11, 23)

_numbers = itertools.count(1)


def make_tenant(*, slug: str | None = None, time_zone: str = "Australia/Sydney", currency: str = "AUD") -> Tenant:
    slug = slug or f"tenant-{next(_numbers)}"
    return accounts.create_tenant(
        name=slug.title(),
        slug=slug,
        owner_email=f"owner@{slug}.example",
        home_currency=currency,
        time_zone=time_zone,
        country="AU",
        at=AT,
    )


def make_key(owner: Tenant, role: Role = Role.OWNER) -> str:
    """Return the secret of an API key with the role, of a member with the same role."""
    with operator():
        user = User.objects.create(email=f"{role}-{next(_numbers)}@members.example")
        membership = Membership.objects.create(tenant=owner, user=user, role=role)
    with tenant(owner.id):
        return accounts.create_api_key(membership_id=membership.id, name="test", role=role, at=AT).secret


def make_portfolio(*, name: str | None = None, currency: str = "AUD", time_zone: str = "Australia/Sydney") -> Portfolio:
    name = name or f"Portfolio {next(_numbers)}"
    return core.create_portfolio(name=name, currency=currency, time_zone=time_zone, at=AT)


def make_asset(
    portfolio: Portfolio,
    *,
    name: str = "Everyday",
    kind: AssetKind = AssetKind.OTHER,
    side: Side = Side.ASSET,
    currency: str = "AUD",
) -> Asset:
    return core.create_asset(portfolio_id=portfolio.id, name=name, kind=kind, side=side, currency=currency, at=AT)


def make_transaction(
    asset: Asset, *, on: dt.date = TODAY, amount: str = "-12.50", pending: bool = False
) -> Transaction:
    external_id = f"t{next(_numbers)}"
    imported = core.ImportedTransaction(
        external_id=external_id,
        asset_id=asset.id,
        booked_on=on,
        amount=Decimal(amount),
        description="Groceries",
        pending=pending,
    )
    core.import_transactions(source="plaid", upserts=[imported], removed=[], at=AT)
    return Transaction.objects.get(external_id=external_id)


def set_value(asset: Asset, value: str, *, on: dt.date = TODAY) -> None:
    core.set_value(asset_id=asset.id, on=on, value=Decimal(value), at=AT)


def owner_id(of: Tenant) -> UUID:
    with tenant(of.id):
        return Membership.objects.get(role=Role.OWNER).user_id

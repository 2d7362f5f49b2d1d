"""What the API takes and gives for portfolios, assets and transactions. Money is exact text, its currency beside it."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.money import to_text
from fatfire.kit.schemas import Amount, AmountText, Body, CurrencyCode, Day, PageQuery
from services.core.models import Asset, AssetKind, Portfolio, Side, Valuation

type Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
type ZoneName = Annotated[str, Field(min_length=1, max_length=64, examples=["Australia/Sydney"])]


class PortfolioIn(Body):
    """A portfolio to create; the tenant's own currency and time zone are the default."""

    name: Name
    currency: CurrencyCode | None = None
    time_zone: ZoneName | None = None


class PortfolioChange(Body):
    """What to change; what is left out or null stays."""

    name: Name | None = None
    currency: CurrencyCode | None = None
    time_zone: ZoneName | None = None


class PortfolioOut(Schema):
    """A portfolio."""

    id: UUID
    name: str
    currency: CurrencyCode
    time_zone: str
    created_at: dt.datetime

    @classmethod
    def of(cls, portfolio: Portfolio) -> Self:
        """Return what is shown of the portfolio."""
        return cls.model_validate(portfolio, from_attributes=True)


class AssetIn(Body):
    """An asset to keep by hand. Where `side` is left out it follows from the kind: credit cards and loans are debts."""

    portfolio_id: UUID
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    kind: AssetKind
    side: Side | None = None
    currency: CurrencyCode | None = None
    institution: str = Field("", max_length=120)


class AssetChange(Body):
    """What to change; what is left out or null stays."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)] | None = None
    currency: CurrencyCode | None = None


class AssetClosing(Body):
    """From which day on the asset is no longer counted."""

    on: Day


class AssetOut(Schema):
    """An asset or debt, with its newest observed value (in its own currency; debts are negative) and the day of it."""

    id: UUID
    portfolio_id: UUID
    name: str
    kind: AssetKind
    side: Side
    currency: CurrencyCode
    institution: str
    is_manual: bool
    value: AmountText | None
    value_on: dt.date | None
    closed_on: dt.date | None

    @classmethod
    def of(cls, asset: Asset) -> Self:
        """Return what is shown of an asset that carries `value` and `value_on`."""
        value: Decimal | None = asset.value  # type: ignore[attr-defined]  # annotated by queries.list_assets
        return cls(
            id=asset.id,
            portfolio_id=asset.portfolio_id,
            name=asset.name,
            kind=AssetKind(asset.kind),
            side=Side(asset.side),
            currency=asset.currency,
            institution=asset.institution,
            is_manual=asset.is_manual,
            value=None if value is None else to_text(value, asset.currency),
            value_on=asset.value_on,  # type: ignore[attr-defined]
            closed_on=asset.closed_on,
        )


class ValueIn(Body):
    """What an asset was worth at the end of a day, in its own currency; a debt's value is negative or zero."""

    on: Day
    value: Amount


class ValueOut(Schema):
    """An observed value."""

    on: dt.date
    value: AmountText
    currency: CurrencyCode
    source: str
    observed_at: dt.datetime

    @classmethod
    def of(cls, valuation: Valuation, currency: str) -> Self:
        """Return what is shown of a value in `currency`."""
        return cls(
            on=valuation.on,
            value=to_text(valuation.value, currency),
            currency=currency,
            source=valuation.source,
            observed_at=valuation.observed_at,
        )


class TransactionQuery(PageQuery):
    """Which transactions: days are inclusive, amounts compared with their sign."""

    portfolio_id: UUID | None = None
    asset_id: UUID | None = None
    from_day: Day | None = Field(None, alias="from")
    to_day: Day | None = Field(None, alias="to")
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    pending: bool | None = None


class TransactionOut(Schema):
    """Money that moved: positive is in, negative is out, in the asset's currency."""

    id: UUID
    asset_id: UUID
    booked_on: dt.date
    amount: AmountText
    currency: CurrencyCode
    description: str
    merchant: str
    category: str
    note: str
    pending: bool


class TransactionChange(Body):
    """The person's own words on a transaction."""

    note: str = Field(max_length=500)

"""Reading what a person has, in the open scope. Lists come as querysets in no order, to be paginated."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Max, OuterRef, QuerySet, Subquery

from services.core.models import Asset, Portfolio, Transaction, Valuation


def list_portfolios() -> QuerySet[Portfolio]:
    """Return the tenant's portfolios, without those that are being deleted: nothing of these is shown anywhere."""
    return Portfolio.objects.filter(deleting_since__isnull=True)


def list_portfolios_in_deletion() -> QuerySet[Portfolio]:
    """Return the portfolios that are being deleted."""
    return Portfolio.objects.filter(deleting_since__isnull=False)


def get_portfolio(*, portfolio_id: UUID) -> Portfolio:
    """Return one portfolio.

    Raises:
        Portfolio.DoesNotExist: not this tenant's, or being deleted.
    """
    return list_portfolios().get(id=portfolio_id)


def shown_assets() -> QuerySet[Asset]:
    """Return the assets of the portfolios that are shown."""
    return Asset.objects.filter(portfolio__in=list_portfolios())


def shown_transactions() -> QuerySet[Transaction]:
    """Return the transactions on these."""
    return Transaction.objects.filter(asset__portfolio__in=list_portfolios())


def list_assets(*, portfolio_id: UUID | None = None, with_closed: bool = True) -> QuerySet[Asset]:
    """Return assets with `value` and `value_on`: the newest observed value (None: never) and its day."""
    newest = Valuation.objects.filter(asset_id=OuterRef("id")).order_by("-on")
    assets = shown_assets().annotate(
        value=Subquery(newest.values("value")[:1]), value_on=Subquery(newest.values("on")[:1])
    )
    if portfolio_id is not None:
        assets = assets.filter(portfolio_id=portfolio_id)
    return assets if with_closed else assets.filter(closed_on__isnull=True)


def asset_currencies(*, portfolio_id: UUID) -> list[str]:
    """Return the currencies of the portfolio's open assets, by code."""
    open_assets = Asset.objects.filter(portfolio_id=portfolio_id, closed_on__isnull=True)
    return list(open_assets.order_by("currency").values_list("currency", flat=True).distinct())


def portfolios_without_assets() -> set[UUID]:
    """Return the portfolios in which nothing is, or nothing is any more."""
    open_assets = Asset.objects.filter(portfolio_id=OuterRef("id"), closed_on__isnull=True)
    return set(Portfolio.objects.filter(~Exists(open_assets)).values_list("id", flat=True))


def get_asset(*, asset_id: UUID) -> Asset:
    """Return one asset, with `value` and `value_on`.

    Raises:
        Asset.DoesNotExist: not this tenant's.
    """
    return list_assets().get(id=asset_id)


def list_values(*, asset_id: UUID) -> QuerySet[Valuation]:
    """Return the observed values of an asset.

    Raises:
        Asset.DoesNotExist: not this tenant's.
    """
    return Valuation.objects.filter(asset=shown_assets().get(id=asset_id))


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """Which transactions: each None means any. Days are inclusive; amounts are compared with their sign."""

    portfolio_id: UUID | None = None
    asset_id: UUID | None = None
    from_day: dt.date | None = None
    to_day: dt.date | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    pending: bool | None = None


_LOOKUPS = {
    "portfolio_id": "asset__portfolio_id",
    "asset_id": "asset_id",
    "from_day": "booked_on__gte",
    "to_day": "booked_on__lte",
    "min_amount": "amount__gte",
    "max_amount": "amount__lte",
    "pending": "pending",
}


def list_transactions(*, wanted: TransactionFilter) -> QuerySet[Transaction, dict[str, Any]]:
    """Return transactions as dicts (with the asset's `currency`): the longest list, so no model instances are made."""
    chosen = {_LOOKUPS[name]: value for name in _LOOKUPS if (value := getattr(wanted, name)) is not None}
    return shown_transactions().filter(**chosen).values(  # type: ignore[return-value]  # a TypedDict is a dict here
        "id", "asset_id", "booked_on", "amount", "description", "merchant", "category", "note", "pending",
        currency=F("asset__currency"),
    )  # fmt: skip


def transaction_count(*, portfolio_id: UUID) -> int:
    """Return how many transactions the portfolio's assets have."""
    return Transaction.objects.filter(asset__portfolio_id=portfolio_id).count()


def newest_observation(*, portfolio_id: UUID) -> dt.datetime | None:
    """Return when any of the portfolio's values was last observed; None: never."""
    newest: dt.datetime | None = Valuation.objects.filter(asset__portfolio_id=portfolio_id).aggregate(
        at=Max("observed_at")
    )["at"]
    return newest


def portfolio_count() -> int:
    """Return how many portfolios there are in the scope, those in deletion too."""
    return Portfolio.objects.count()


def asset_count() -> int:
    """Return how many assets and debts there are in the scope, closed ones too."""
    return Asset.objects.count()

"""Reading the daily history, in the open scope."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from django.db.models import Min, QuerySet

from services.history.models import AssetDay, PortfolioDay


def list_portfolio_days(*, portfolio_id: UUID) -> QuerySet[PortfolioDay]:
    """Return the portfolio's days, in the currency that each row names."""
    return PortfolioDay.objects.filter(portfolio_id=portfolio_id)


def list_asset_days(*, asset_id: UUID) -> QuerySet[AssetDay]:
    """Return the asset's days, in the asset's currency."""
    return AssetDay.objects.filter(asset_id=asset_id)


def portfolio_day(*, portfolio_id: UUID, on: dt.date) -> PortfolioDay | None:
    """Return the portfolio's newest day on or before `on`; None before its history begins."""
    return list_portfolio_days(portfolio_id=portfolio_id).filter(day__lte=on).order_by("-day").first()


def newest_portfolio_days(*, portfolio_ids: list[UUID]) -> dict[UUID, PortfolioDay]:
    """Return each portfolio's newest day; one without history is absent."""
    days = PortfolioDay.objects.filter(portfolio_id__in=portfolio_ids).order_by("portfolio_id", "-day")
    return {row.portfolio_id: row for row in days.distinct("portfolio_id")}


def first_day(*, portfolio_id: UUID) -> dt.date | None:
    """Return the day on which the portfolio's history begins; None when it has none."""
    first: dt.date | None = list_portfolio_days(portfolio_id=portfolio_id).aggregate(day=Min("day"))["day"]
    return first


def asset_values(*, asset_ids: list[UUID], on: dt.date) -> dict[UUID, Decimal]:
    """Return what each asset was worth on a day, in its own currency; one without that day is absent."""
    return dict(AssetDay.objects.filter(asset_id__in=asset_ids, day=on).values_list("asset_id", "value"))

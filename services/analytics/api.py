"""Net worth and its history over HTTP."""

import datetime as dt
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, Field

from fatfire.kit.clock import local_date, now
from fatfire.kit.money import to_text
from fatfire.kit.schemas import Day
from services.analytics import queries
from services.analytics.queries import Range
from services.analytics.schemas import AssetDayOut, AssetHistoryOut, DayOut, HistoryOut, NetWorthOut
from services.core import queries as core
from services.history import queries as history

router = Router(tags=["Net worth"])


class Span(BaseModel):
    """Which days: `from` and `to` (inclusive; today where it is left out), or a `range` that ends on `to`."""

    from_day: Day | None = Field(None, alias="from")
    to_day: Day | None = Field(None, alias="to")
    range: Range = Range.ALL

    def days(self, time_zone: str) -> tuple[dt.date | None, dt.date]:
        """Return the first day (None: the very first) and the last, for someone in the time zone."""
        end = self.to_day or local_date(now(), time_zone)
        return self.from_day or queries.start_of(self.range, end=end), end


@router.get("/portfolios/{portfolio_id}/net-worth", response=NetWorthOut)
def get_net_worth(request: HttpRequest, portfolio_id: UUID, span: Query[Span]) -> NetWorthOut:
    """Show assets, debts and net worth on the last day, and how they changed since the first."""
    portfolio = core.get_portfolio(portfolio_id=portfolio_id)
    start, end = span.days(portfolio.time_zone)
    return NetWorthOut.of(queries.change(portfolio_id=portfolio_id, start=start or dt.date.min, end=end))


@router.get("/portfolios/{portfolio_id}/history", response=HistoryOut)
def get_portfolio_history(request: HttpRequest, portfolio_id: UUID, span: Query[Span]) -> HistoryOut:
    """Show assets, debts and net worth day by day."""
    portfolio = core.get_portfolio(portfolio_id=portfolio_id)
    start, end = span.days(portfolio.time_zone)
    days = queries.series(portfolio_id=portfolio_id, start=start, end=end)
    return HistoryOut(currency=portfolio.currency, days=[DayOut.of(each, portfolio.currency) for each in days])


@router.get("/assets/{asset_id}/history", response=AssetHistoryOut)
def get_asset_history(request: HttpRequest, asset_id: UUID, span: Query[Span]) -> AssetHistoryOut:
    """Show an asset's worth day by day."""
    asset = core.get_asset(asset_id=asset_id)
    portfolio = core.get_portfolio(portfolio_id=asset.portfolio_id)
    start, end = span.days(portfolio.time_zone)
    rows = (
        history.list_asset_days(asset_id=asset_id).filter(day__gte=start or dt.date.min, day__lte=end).order_by("day")
    )
    days = [AssetDayOut(day=row.day, value=to_text(row.value, asset.currency), estimated=row.estimated) for row in rows]
    return AssetHistoryOut(currency=asset.currency, days=days)

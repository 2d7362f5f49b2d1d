"""Net worth and its history over HTTP."""

import datetime as dt
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, Field

from fatfire.kit.clock import local_date, now
from fatfire.kit.money import to_text
from fatfire.kit.schemas import CurrencyCode, Day
from services.analytics import queries
from services.analytics.queries import Range
from services.analytics.schemas import AssetDayOut, AssetHistoryOut, DayOut, HistoryOut, NetWorthOut
from services.core import queries as core

router = Router(tags=["Net worth"])


class Span(BaseModel):
    """Which days: `from` and `to` (inclusive; today where it is left out), or a `range` that ends on `to`.

    `currency`: what amounts are converted into, each day's by that day's rate; left out, they come as they are kept.
    """

    from_day: Day | None = Field(None, alias="from")
    to_day: Day | None = Field(None, alias="to")
    range: Range = Range.ALL
    currency: CurrencyCode | None = None

    def days(self, time_zone: str) -> tuple[dt.date | None, dt.date]:
        """Return the first day (None: the very first) and the last, for someone in the time zone."""
        end = self.to_day or local_date(now(), time_zone)
        return self.from_day or queries.start_of(self.range, end=end), end


@router.get("/portfolios/{portfolio_id}/net-worth", response=NetWorthOut)
def get_net_worth(request: HttpRequest, portfolio_id: UUID, span: Query[Span]) -> NetWorthOut:
    """Show assets, debts and net worth on the last day, and how they changed since the first."""
    portfolio = core.get_portfolio(portfolio_id=portfolio_id)
    start, end = span.days(portfolio.time_zone)
    change = queries.change(portfolio_id=portfolio_id, start=start or dt.date.min, end=end, currency=span.currency)
    return NetWorthOut.of(change)


@router.get("/portfolios/{portfolio_id}/history", response=HistoryOut)
def get_portfolio_history(request: HttpRequest, portfolio_id: UUID, span: Query[Span]) -> HistoryOut:
    """Show assets, debts and net worth day by day."""
    portfolio = core.get_portfolio(portfolio_id=portfolio_id)
    start, end = span.days(portfolio.time_zone)
    days = queries.series(portfolio_id=portfolio_id, start=start, end=end, currency=span.currency)
    # Until the history is worked out in a portfolio's new currency, the days are in the old one.
    currency = days[-1].currency if days else span.currency or portfolio.currency
    return HistoryOut(currency=currency, days=[DayOut.of(each, currency) for each in days])


@router.get("/assets/{asset_id}/history", response=AssetHistoryOut)
def get_asset_history(request: HttpRequest, asset_id: UUID, span: Query[Span]) -> AssetHistoryOut:
    """Show an asset's worth day by day."""
    asset = core.get_asset(asset_id=asset_id)
    portfolio = core.get_portfolio(portfolio_id=asset.portfolio_id)
    start, end = span.days(portfolio.time_zone)
    currency = span.currency or asset.currency
    days = queries.asset_series(asset=asset, start=start, end=end, currency=currency)
    return AssetHistoryOut(
        currency=currency,
        days=[
            AssetDayOut(day=each.day, value=to_text(each.money.amount, currency), estimated=each.estimated)
            for each in days
        ],
    )

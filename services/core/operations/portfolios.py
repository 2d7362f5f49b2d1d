"""The portfolios themselves, and what holds for all that is in one."""

import datetime as dt
from collections.abc import Iterable
from uuid import UUID

from django.db.models.functions import Coalesce, Least

from fatfire.kit import clock
from fatfire.kit.errors import DomainError
from fatfire.kit.money import require_currency
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import Asset, Portfolio
from services.jobs import operations as jobs
from tenants import audit
from tenants.conflicts import conflict_means

EARLIEST = dt.date(1900, 1, 1)
"""The first day that anything can have been worth something on."""


class NameTaken(DomainError):
    """Another portfolio has this name."""

    code = "name_taken"


class PortfolioBeingDeleted(DomainError):
    """The portfolio is being deleted."""

    code = "portfolio_being_deleted"


def create_portfolio(*, name: str, currency: str, time_zone: str, at: dt.datetime) -> Portfolio:
    """Create a portfolio of the open scope's tenant.

    Raises:
        NameTaken: another has the name (in whatever case).
        InvalidInput: the currency or time zone doesn't exist.
    """
    portfolio = Portfolio(
        name=name, currency=require_currency(currency), time_zone=clock.require_time_zone(time_zone), created_at=at
    )
    save_portfolio(portfolio)
    audit.record(action="create", subject="portfolio", subject_id=portfolio.id, at=at, name=name)
    return portfolio


def update_portfolio(
    *,
    portfolio_id: UUID,
    at: dt.datetime,
    name: str | None = None,
    currency: str | None = None,
    time_zone: str | None = None,
) -> Portfolio:
    """Change what is given; another currency or time zone has the whole history redone.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is.
        NameTaken: another has the name (in whatever case).
        InvalidInput: the currency or time zone doesn't exist.
    """
    portfolio = hold_portfolio(portfolio_id=portfolio_id)
    before = (portfolio.currency, portfolio.time_zone)
    if name is not None:
        portfolio.name = name
    if currency is not None:
        portfolio.currency = require_currency(currency)
    if time_zone is not None:
        portfolio.time_zone = clock.require_time_zone(time_zone)
    save_portfolio(portfolio)
    if before != (portfolio.currency, portfolio.time_zone):
        mark_changed(portfolio_ids=[portfolio_id], from_day=EARLIEST, at=at)
    audit.record(
        action="update",
        subject="portfolio",
        subject_id=portfolio_id,
        at=at,
        name=name,
        currency=currency,
        time_zone=time_zone,
    )
    return portfolio


def hold_portfolio(*, portfolio_id: UUID) -> Portfolio:
    """Return the portfolio, which can't begin to be deleted before the caller's transaction ends.

    Whoever adds something to a portfolio holds it first: what came after the deletion began would never be found.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is.
    """
    portfolio = Portfolio.objects.select_for_update(no_key=True).get(id=portfolio_id)
    if portfolio.deleting_since is not None:
        raise PortfolioBeingDeleted
    return portfolio


def save_portfolio(portfolio: Portfolio) -> None:
    """Write the portfolio's row.

    Raises:
        NameTaken: another that is shown has the name (in whatever case).
    """
    with conflict_means("core_portfolio_name_once", NameTaken):
        portfolio.save()


def mark_assets_changed(first_day: dict[UUID, dt.date], *, at: dt.datetime) -> None:
    """Mark the assets' portfolios as changed from the first day given for any of their assets."""
    by_portfolio: dict[UUID, dt.date] = {}
    for asset_id, portfolio_id in Asset.objects.filter(id__in=first_day).values_list("id", "portfolio_id"):
        by_portfolio[portfolio_id] = min(first_day[asset_id], by_portfolio.get(portfolio_id, first_day[asset_id]))
    for portfolio_id, day in sorted(by_portfolio.items()):
        mark_changed(portfolio_ids=[portfolio_id], from_day=day, at=at)


def mark_changed(*, portfolio_ids: Iterable[UUID], from_day: dt.date, at: dt.datetime) -> None:
    """Note that what the portfolios were worth changed on `from_day` or later, and ask for their history."""
    for portfolio_id in sorted(portfolio_ids):
        Portfolio.objects.filter(id=portfolio_id).update(
            revalue_from=Least(Coalesce("revalue_from", from_day), from_day)
        )
        jobs.enqueue(kind=REVALUE_PORTFOLIO, subject_id=portfolio_id, at=at)

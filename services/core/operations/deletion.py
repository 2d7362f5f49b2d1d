"""The end of a portfolio: hidden first, then emptied a batch at a time, and kept after all while that can be."""

import datetime as dt
from uuid import UUID

from fatfire.kit.batches import delete_some
from fatfire.kit.errors import DomainError
from services.core import queries
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import Asset, Portfolio, Transaction, Valuation
from services.core.operations.portfolios import save_portfolio
from services.jobs import operations as jobs
from tenants import audit


class PortfolioNotBeingDeleted(DomainError):
    """The portfolio is kept: nobody wants it deleted, or not any more."""

    code = "portfolio_not_being_deleted"


def mark_for_deletion(*, portfolio_id: UUID, at: dt.datetime) -> Portfolio | None:
    """Hide the portfolio, let nobody add to it any more, and return it; None when that was so already.

    Waits for whoever holds it, so what they added is there for the deletion to find.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
    """
    portfolio = Portfolio.objects.select_for_update().get(id=portfolio_id)
    if portfolio.deleting_since is not None:
        return None
    Portfolio.objects.filter(id=portfolio_id).update(deleting_since=at)
    audit.record(action="delete", subject="portfolio", subject_id=portfolio_id, at=at, name=portfolio.name)
    return portfolio


def restore_portfolio(*, portfolio_id: UUID, at: dt.datetime) -> Portfolio:
    """Show a portfolio again that was to be deleted; whoever calls makes sure that nothing in it was.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioNotBeingDeleted: it is shown.
        NameTaken: another got its name meanwhile.
    """
    portfolio = Portfolio.objects.select_for_update(no_key=True).get(id=portfolio_id)
    if portfolio.deleting_since is None:
        raise PortfolioNotBeingDeleted
    portfolio.deleting_since = None
    save_portfolio(portfolio)
    jobs.enqueue(kind=REVALUE_PORTFOLIO, subject_id=portfolio_id, at=at)  # its days were not worked out meanwhile
    audit.record(action="restore", subject="portfolio", subject_id=portfolio_id, at=at, name=portfolio.name)
    return portfolio


def require_deletion(*, portfolio_id: UUID) -> None:
    """Refuse to delete what is in a portfolio that is kept; one that is gone is nothing to refuse.

    Raises:
        PortfolioNotBeingDeleted: it is shown.
    """
    if queries.list_portfolios().filter(id=portfolio_id).exists():
        raise PortfolioNotBeingDeleted


def delete_transactions(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the portfolio's transactions, and return how many."""
    return delete_some(Transaction.objects.filter(asset__portfolio_id=portfolio_id), limit=limit)


def delete_values(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the observed values of the portfolio's assets, and return how many."""
    return delete_some(Valuation.objects.filter(asset__portfolio_id=portfolio_id), limit=limit)


def delete_assets(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the portfolio's assets, which nothing hangs on any more, and return how many."""
    return delete_some(Asset.objects.filter(portfolio_id=portfolio_id), limit=limit)


def delete_portfolio(*, portfolio_id: UUID, at: dt.datetime) -> int:
    """Delete the portfolio, which nothing is in any more; return 1, or 0 when it is gone already."""
    portfolio = Portfolio.objects.filter(id=portfolio_id).first()
    if portfolio is None:
        return 0
    portfolio.delete()
    audit.record(action="deleted", subject="portfolio", subject_id=portfolio_id, at=at, name=portfolio.name)
    return 1

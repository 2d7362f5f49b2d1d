"""Reading what is being deleted, in the open scope."""

from uuid import UUID

from services.cleanup.jobs import DELETE_ASSETS, DELETE_PORTFOLIO
from services.core import queries as core
from services.insurance import queries as insurance
from services.integration import queries as integration
from services.jobs import queries as jobs
from services.jobs.operations import Job
from services.receipts import queries as receipts


def portfolio_contents(*, portfolio_id: UUID) -> dict[str, int]:
    """Return how many links (in use), assets, transactions, policies and receipts a portfolio that is shown has."""
    return {
        "links": len(integration.links_to_end(portfolio_id=portfolio_id)),
        "assets": core.list_assets(portfolio_id=portfolio_id).count(),
        "transactions": core.transaction_count(portfolio_id=portfolio_id),
        "policies": insurance.list_policies(portfolio_id=portfolio_id).count(),
        "receipts": receipts.list_receipts(portfolio_id=portfolio_id).count(),
    }


def deletion_job(*, portfolio_id: UUID) -> Job | None:
    """Return the newest job that deletes the portfolio; None when there is none (any more)."""
    return jobs.newest_job(kind=DELETE_PORTFOLIO, subject_id=portfolio_id)


def may_restore(*, job: Job) -> bool:
    """Return whether the job deletes a portfolio and hasn't deleted anything yet: its first deleting step never began.

    Links may have been removed at their banks by then, which closed their accounts; that stays.
    """
    if job.kind != DELETE_PORTFOLIO.name or job.subject_id is None:
        return False
    if not core.list_portfolios_in_deletion().filter(id=job.subject_id).exists():
        return False
    return not job.steps.filter(name=DELETE_ASSETS, attempts__gt=0).exists()

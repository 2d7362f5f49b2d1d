"""Reading what is being deleted, in the open scope."""

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from services.cleanup.jobs import DELETE_ASSETS, DELETE_PORTFOLIO
from services.core import queries as core
from services.insurance import queries as insurance
from services.integration import queries as integration
from services.jobs import queries as jobs
from services.media import queries as media
from services.receipts import queries as receipts

if TYPE_CHECKING:
    from services.jobs.models import Job


def portfolio_contents(*, portfolio_id: UUID) -> dict[str, int]:
    """Return how many links (in use), assets, transactions, policies, receipts and videos a shown portfolio has."""
    return {
        "links": len(integration.links_to_end(portfolio_id=portfolio_id)),
        "assets": core.list_assets(portfolio_id=portfolio_id).count(),
        "transactions": core.transaction_count(portfolio_id=portfolio_id),
        "policies": insurance.list_policies(portfolio_id=portfolio_id).count(),
        "receipts": receipts.list_receipts(portfolio_id=portfolio_id).count(),
        "videos": media.video_count(portfolio_id=portfolio_id),
    }


def deletion_jobs(*, portfolio_ids: Collection[UUID]) -> dict[UUID, "Job"]:
    """Return the newest job that deletes each of the portfolios; one without (any more) is absent."""
    return jobs.newest_jobs(subject_ids=portfolio_ids, kind=DELETE_PORTFOLIO)


def is_in_deletion(*, job: "Job") -> bool:
    """Return whether the job's subject is a portfolio that is being deleted: neither shown nor gone."""
    going = core.list_portfolios_in_deletion()
    return job.subject_id is not None and going.filter(id=job.subject_id).exists()


def may_restore(*, job: "Job") -> bool:
    """Return whether the job deletes a portfolio and hasn't deleted anything yet: its first deleting step never began.

    Links may have been removed at their banks by then, which closed their accounts; that stays.
    """
    if job.kind != DELETE_PORTFOLIO.name or not is_in_deletion(job=job):
        return False
    return not job.steps.filter(name=DELETE_ASSETS, attempts__gt=0).exists()

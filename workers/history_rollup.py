"""Jobs of the history service, and the one that core asks of it."""

from dataclasses import asdict

import structlog

from services.core import jobs as core_jobs
from services.history import jobs, operations
from services.jobs.operations import ClaimedJob
from tenants.isolation import tenant
from workers.runner import Output, task

logger = structlog.get_logger(__name__)


@task(core_jobs.REVALUE_PORTFOLIO)
def revalue_portfolio(job: ClaimedJob) -> Output:
    """Redo one portfolio's history where it changed."""
    with tenant(job.tenant):
        return asdict(operations.roll_up_portfolio(portfolio_id=job.subject, at=job.started_at))


@task(jobs.ROLL_UP_DUE)
def roll_up_due(job: ClaimedJob) -> Output:
    """Bring every portfolio up to date."""
    written = asdict(operations.roll_up_due(at=job.started_at, progress=job.progress))
    logger.info("rolled_up", **written)  # counted in production: people are told when none ends for an hour
    return written

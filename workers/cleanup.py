"""Jobs of the cleanup service."""

from django.conf import settings

from services.cleanup import jobs, operations
from services.jobs.operations import ClaimedJob
from workers.runner import Output, task


@task(jobs.APPLY_RETENTION)
def apply_retention(job: ClaimedJob) -> Output:
    """Delete what has been kept for long enough."""
    return operations.apply_retention(
        invocation_days=settings.KEEP_INVOCATIONS_DAYS,
        job_days=settings.KEEP_JOBS_DAYS,
        progress=job.progress,
        at=job.started_at,
    )


@task(jobs.DELETE_PORTFOLIO, jobs.REMOVE_LINKS)
def remove_links(job: ClaimedJob) -> Output:
    """Let the banks of a portfolio go."""
    return operations.remove_links(job=job)


@task(jobs.DELETE_PORTFOLIO, jobs.DELETE_ASSETS)
def delete_assets(job: ClaimedJob) -> Output:
    """Delete what hangs on a portfolio's assets."""
    return operations.delete_assets(job=job)


@task(jobs.DELETE_PORTFOLIO, jobs.DELETE_ASSET_HISTORY)
def delete_asset_history(job: ClaimedJob) -> Output:
    """Delete the days of a portfolio's assets, and the assets."""
    return operations.delete_asset_history(job=job)


@task(jobs.DELETE_PORTFOLIO, jobs.DELETE_PORTFOLIO_HISTORY)
def delete_portfolio_history(job: ClaimedJob) -> Output:
    """Delete a portfolio's days."""
    return operations.delete_portfolio_history(job=job)


@task(jobs.DELETE_PORTFOLIO, jobs.DELETE_VIDEOS)
def delete_videos(job: ClaimedJob) -> Output:
    """Delete a portfolio's videos."""
    return operations.delete_videos(job=job)


@task(jobs.DELETE_PORTFOLIO, "delete_portfolio")
def delete_portfolio(job: ClaimedJob) -> Output:
    """Delete a portfolio's own row."""
    return operations.delete_portfolio(job=job)

"""Jobs of the integration service."""

from dataclasses import asdict

from services.integration import jobs, operations
from services.jobs.operations import ClaimedJob
from workers.runner import Output, task


@task(jobs.SYNC_LINK)
def sync_link(job: ClaimedJob) -> Output:
    """Import from a bank."""
    imported = operations.run_sync(
        tenant_id=job.tenant,
        link_id=job.subject,
        progress=job.progress,
        at=job.started_at,
        refresh=bool(job.input.get("refresh")),
    )
    return asdict(imported)


@task(jobs.REMOVE_LINK)
def remove_link(job: ClaimedJob) -> Output:
    """Let a bank go."""
    operations.run_removal(tenant_id=job.tenant, link_id=job.subject, progress=job.progress, at=job.started_at)
    return None

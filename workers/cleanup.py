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

"""Reading jobs, in the open scope."""

import datetime as dt
from collections.abc import Collection
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from services.jobs.models import Job, JobStep, State
from tenants.isolation import operator


def list_jobs(*, kind: str | None = None, state: State | None = None, subject_id: UUID | None = None) -> QuerySet[Job]:
    """Return the tenant's jobs, filtered; without steps and in no order."""
    jobs = Job.objects.all()
    if kind is not None:
        jobs = jobs.filter(kind=kind)
    if state is not None:
        jobs = jobs.filter(state=state)
    if subject_id is not None:
        jobs = jobs.filter(subject_id=subject_id)
    return jobs


def get_job(*, job_id: UUID) -> Job:
    """Return the job with its steps in order.

    Raises:
        Job.DoesNotExist: not this tenant's.
    """
    steps = Prefetch("steps", queryset=JobStep.objects.order_by("position"))
    return Job.objects.prefetch_related(steps).get(id=job_id)


def newest_jobs(*, subject_ids: Collection[UUID]) -> dict[UUID, Job]:
    """Return the newest job of each subject that has one, whatever its kind; without steps."""
    jobs = Job.objects.filter(subject_id__in=subject_ids).order_by("subject_id", "-created_at", "-id")
    return {job.subject_id: job for job in jobs.distinct("subject_id") if job.subject_id}


def open_job_count() -> int:
    """Return how many of the scope's jobs are queued or running."""
    return Job.objects.filter(state__in=[State.QUEUED, State.RUNNING]).count()


def due_jobs(*, at: dt.datetime) -> list[tuple[UUID, UUID | None]]:
    """Return (job, tenant) of every step that waits to be run, longest waiting first. Across tenants."""
    with operator():
        due = JobStep.objects.filter(state=State.QUEUED, run_after__lte=at).order_by("run_after", "id")
        return list(due.values_list("job_id", "tenant_id"))

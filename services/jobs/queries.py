"""Reading jobs, in the open scope."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Min, Prefetch, Q, QuerySet
from django.db.models.functions import TruncHour

from services.jobs.jobs import JobKind
from services.jobs.models import OPEN, Job, JobStep, State
from tenants.isolation import operator
from tenants.permissions import Role


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


def role_to_move(*, job: Job) -> Role:
    """Return the least role that may try the job again or cancel it; of an unknown kind, owner."""
    known = {kind.name: kind.role for kind in JobKind.all()}
    return known.get(job.kind, Role.OWNER)


def newest_jobs(*, subject_ids: Collection[UUID], kind: JobKind | None = None) -> dict[UUID, Job]:
    """Return the newest job (of the kind, where one is given) of each subject that has one; without steps."""
    chosen = list_jobs(kind=kind.name if kind else None)
    jobs = chosen.filter(subject_id__in=subject_ids).order_by("subject_id", "-created_at", "-id")
    return {job.subject_id: job for job in jobs.distinct("subject_id") if job.subject_id}


def open_job(*, kind: JobKind, subject_id: UUID) -> Job | None:
    """Return the job of the kind and subject that is queued or running; there is one at most."""
    return list_jobs(kind=kind.name, subject_id=subject_id).filter(state__in=OPEN).first()


def open_job_count() -> int:
    """Return how many of the scope's jobs are queued or running."""
    return Job.objects.filter(state__in=OPEN).count()


def due_jobs(*, at: dt.datetime) -> list[tuple[UUID, UUID | None]]:
    """Return (job, tenant) of every step that waits to be run, longest waiting first. Across tenants."""
    with operator():
        due = JobStep.objects.filter(state=State.QUEUED, run_after__lte=at).order_by("run_after", "id")
        return list(due.values_list("job_id", "tenant_id"))


@dataclass(frozen=True, slots=True)
class EndedInHour:
    """How many jobs succeeded and failed in the hour that begins at `hour` (UTC)."""

    hour: dt.datetime
    succeeded: int
    failed: int


def open_jobs_by_state() -> dict[str, int]:
    """Return how many jobs are queued and running; a state without any is absent."""
    open_jobs = Job.objects.filter(state__in=OPEN)
    return dict(open_jobs.order_by().values_list("state").annotate(Count("id")))


def ended_by_hour(*, since: dt.datetime) -> list[EndedInHour]:
    """Return the jobs that ended at or after `since`, by hour; hours in which none did are absent."""
    ended = Job.objects.filter(finished_at__gte=since).annotate(hour=TruncHour("finished_at")).values("hour")
    counted = ended.annotate(
        succeeded=Count("id", filter=Q(state=State.SUCCEEDED)), failed=Count("id", filter=Q(state=State.FAILED))
    )
    return [EndedInHour(**row) for row in counted.order_by("hour")]


def newest_failures(*, since: dt.datetime, most: int) -> list[Job]:
    """Return the jobs that failed at or after `since`, with their tenants, newest first."""
    failed = Job.objects.filter(state=State.FAILED, finished_at__gte=since).select_related("tenant")
    return list(failed.order_by("-finished_at", "-id")[:most])


def longest_wait(*, at: dt.datetime) -> dt.timedelta:
    """Return for how long the step that waits longest could have been run; zero when none is due."""
    oldest = JobStep.objects.filter(state=State.QUEUED, run_after__lte=at).aggregate(since=Min("run_after"))["since"]
    return at - oldest if oldest else dt.timedelta(0)

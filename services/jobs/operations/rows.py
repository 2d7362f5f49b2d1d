"""What every move of a job has in common: the lock, the end, the new start, the message after the commit.

Locks are always taken in the order job, steps; the sweep alone takes steps only, and waits for none. Each function that
takes `at` (aware) treats it as the present moment.
"""

import datetime as dt
from collections.abc import Collection
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from services.jobs.jobs import JobKind, Queue
from services.jobs.models import OPEN, Job, JobStep, State
from tenants.isolation import current_alias


def lock_job(job_id: UUID) -> Job:
    """Return the job, which nobody else moves before this transaction ends.

    Raises:
        Job.DoesNotExist: not this tenant's.
    """
    return Job.objects.select_for_update(no_key=True).get(id=job_id)


def fail_job(job: Job, kind: JobKind, step_id: UUID, at: dt.datetime, *, code: str, detail: str) -> None:
    """End the step and the job as failed. The job is locked."""
    error = {"error_code": code, "error_detail": detail[:500]}
    JobStep.objects.filter(id=step_id).update(state=State.FAILED, lease_until=None, finished_at=at, **error)
    if job.run_again:
        restart(job, kind, at)
    else:
        end_job(job, State.FAILED, at, **error)


def end_job(job: Job, state: State, at: dt.datetime, **changes: Any) -> None:
    """End the job, and with it whichever of its steps are open; those of a failed one stay blocked. It is locked."""
    ends = OPEN if state == State.FAILED else [State.BLOCKED, *OPEN]
    open_steps = JobStep.objects.filter(job_id=job.id, state__in=ends)
    open_steps.update(state=State.CANCELLED, lease_until=None, finished_at=at)
    Job.objects.filter(id=job.id).update(state=state, finished_at=at, run_again=False, **changes)


def restart(job: Job, kind: JobKind, at: dt.datetime, *, only: Collection[State] = tuple(State)) -> None:
    """Queue the job's steps again, those in the states `only`; the ones that wait for one of them are blocked."""
    redo = set(JobStep.objects.filter(job_id=job.id, state__in=only).values_list("name", flat=True))
    blocked = {step.name for step in kind.steps if redo.intersection(step.after)} & redo
    cleared: dict[str, Any] = {
        "lease_until": None, "finished_at": None, "retries": 0, "run_after": at, "error_code": "", "error_detail": "",
    }  # fmt: skip
    rows = JobStep.objects.filter(job_id=job.id)
    rows.filter(name__in=redo - blocked).update(state=State.QUEUED, sent_at=at, **cleared)
    rows.filter(name__in=blocked).update(state=State.BLOCKED, sent_at=None, **cleared)
    Job.objects.filter(id=job.id).update(
        state=State.QUEUED,
        run_again=False,
        finished_at=None,
        error_code="",
        error_detail="",
        progress_done=0,
        progress_total=None,
        progress_note="",
    )
    for _ in redo - blocked:
        send_on_commit(kind, job.id, job.tenant_id)


def send_on_commit(kind: JobKind, job_id: UUID, tenant_id: UUID | None, *, delay_s: int = 0) -> None:
    """Send a message about the job once the open transaction is committed, to come after `delay_s` seconds."""
    message = {"job_id": str(job_id), "tenant_id": str(tenant_id) if tenant_id else None}
    # Robust: the row is committed by then, and the sweep sends again what the broker didn't take.
    send = partial(_send, kind.name, kind.queue, message, delay_s)
    transaction.on_commit(send, using=current_alias(), robust=True)


def _send(name: str, queue: Queue, message: dict[str, str | None], delay_s: int) -> None:
    from fatfire import celery  # Celery takes a third of a second to import; pages that enqueue nothing needn't

    celery.send(name=name, queue=queue.value, message=message, delay_s=delay_s)

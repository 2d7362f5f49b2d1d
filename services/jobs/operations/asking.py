"""What is asked of jobs from outside: queue one, hold it, cancel it, try it again, delete it."""

import datetime as dt
import json
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import connection, connections

from fatfire.kit.errors import DomainError
from services.jobs.jobs import JobKind, Reach
from services.jobs.models import OPEN, Job, JobStep, State
from services.jobs.operations.rows import end_job, lock_job, restart, send_on_commit
from tenants.conflicts import conflict_means
from tenants.isolation import current_alias, current_tenant_id


class JobNotOpen(DomainError):
    """The job has already ended."""

    code = "job_not_open"


class JobNotFailed(DomainError):
    """Only a failed or cancelled job can be tried again."""

    code = "job_not_failed"


class JobAlreadyOpen(DomainError):
    """The same work is already queued or running."""

    code = "job_already_open"


def enqueue(
    *, kind: JobKind, at: dt.datetime, subject_id: UUID | None = None, inputs: dict[str, dict[str, Any]] | None = None
) -> Job:
    """Queue work in the open scope, and tell a worker once the transaction commits; return the job.

    While a job of the same kind and subject is open, that one is returned instead; if it has begun already, it will
    run once more when it ends, so what was written just before this call is never missed. `inputs` maps step names to
    what the step is given when it starts next: ids and plain values only.

    Raises:
        ValueError: the kind's reach isn't the open scope's.
    """
    if (kind.reach is Reach.PLATFORM) != (current_tenant_id() is None):
        msg = f"{kind.name} is a job of the {kind.reach.value}"
        raise ValueError(msg)
    found = None
    while found is None:  # again, when the open one ended between the two statements
        job = _inserted(kind, subject_id, inputs or {}, at)
        if job is not None:
            return job
        # The lock keeps a queued one from starting before the caller's writes are committed and seen.
        open_jobs = Job.objects.select_for_update(no_key=True)
        found = open_jobs.filter(kind=kind.name, subject_id=subject_id, state__in=OPEN).first()
    for name, given in (inputs or {}).items():
        JobStep.objects.filter(job_id=found.id, name=name).update(input=given)
    # One that is tried again waits like a new one, but won't repeat the steps that succeeded.
    has_begun = found.state == State.RUNNING or JobStep.objects.filter(job_id=found.id, state=State.SUCCEEDED).exists()
    if has_begun:
        Job.objects.filter(id=found.id).update(run_again=True)
    return found


def _inserted(kind: JobKind, subject_id: UUID | None, inputs: dict[str, dict[str, Any]], at: dt.datetime) -> Job | None:
    """Return a new job with its steps, written at once and sent after the commit; None while the same work is open.

    In one statement: it is done for every job there is. A lost race must not abort the caller's transaction.
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    job = Job(id=uuid4(), kind=kind.name, subject_id=subject_id, created_at=at, request_id=request_id)
    steps = [
        {
            "name": step.name,
            "position": position,
            "state": State.BLOCKED if step.after else State.QUEUED,
            "input": inputs.get(step.name, {}),
        }
        for position, step in enumerate(kind.steps)
    ]
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "id": job.id, "tenant_id": job.tenant_id, "kind": kind.name, "subject_id": subject_id,
                "request_id": request_id, "at": at, "steps": json.dumps(steps),
            },
        )  # fmt: skip
        if not cursor.rowcount:
            return None
    for step in kind.steps:
        if not step.after:
            send_on_commit(kind, job.id, job.tenant_id)
    return job


_INSERT = """
    WITH job AS (
        INSERT INTO jobs_job (id, tenant_id, kind, subject_id, state, run_again, progress_done, progress_note,
            error_code, error_detail, request_id, created_at)
        VALUES (%(id)s, %(tenant_id)s, %(kind)s, %(subject_id)s, 'queued', false, 0, '', '', '', %(request_id)s, %(at)s)
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    INSERT INTO jobs_jobstep (id, tenant_id, job_id, name, position, state, attempts, retries, run_after, sent_at,
        input, output, error_code, error_detail)
    SELECT gen_random_uuid(), %(tenant_id)s, job.id, step.name, step.position, step.state, 0, 0, %(at)s,
        CASE step.state WHEN 'queued' THEN %(at)s END, step.input, '{}', '', ''
    FROM job, jsonb_to_recordset(%(steps)s) AS step(name text, position smallint, state text, input jsonb)
"""


def enqueue_for_anyone(*, kind: JobKind, subject_id: UUID, at: dt.datetime) -> None:
    """Queue work of the platform in a `shared()` block, where nobody is known yet, and tell a worker after the commit.

    app_tenant may not write the platform's jobs; an SQL function does it for the few kinds that anyone may ask for.

    Raises:
        ValueError: the kind is none of those (jobs/migrations/0002_for_anyone.py).
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT lookup.enqueue_for_anyone(%s, %s, %s, %s)", [kind.name, subject_id, at, request_id])
        job_id: UUID | None = cursor.fetchone()[0]
    if job_id is None:
        msg = f"{kind.name} is not a job that anyone may ask for"
        raise ValueError(msg)
    send_on_commit(kind, job_id, None)


def hold_job(*, job_id: UUID) -> Job:
    """Return the job, none of whose steps can begin before the caller's transaction ends.

    Raises:
        Job.DoesNotExist: not this tenant's.
    """
    return lock_job(job_id)


def cancel_job(*, job_id: UUID, at: dt.datetime) -> Job:
    """Stop the job: what waits won't start, and what runs stops at its next report, undoing what it hasn't committed.

    Raises:
        Job.DoesNotExist: not this tenant's.
        JobNotOpen: it has ended.
    """
    job = lock_job(job_id)
    if job.state not in OPEN:
        raise JobNotOpen
    end_job(job, State.CANCELLED, at)
    for kind in JobKind.all():
        if kind.name == job.kind:  # a worker finds nothing to do any more, and tells the pages that listen
            send_on_commit(kind, job.id, job.tenant_id)
    return Job.objects.get(id=job_id)


def retry_job(*, job_id: UUID, at: dt.datetime) -> Job:
    """Queue a failed or cancelled job again, from the steps that didn't succeed.

    Raises:
        Job.DoesNotExist: not this tenant's.
        JobNotFailed: it is open or succeeded.
        JobAlreadyOpen: a newer job does the same work.
    """
    job = lock_job(job_id)
    if job.state not in {State.FAILED, State.CANCELLED}:
        raise JobNotFailed
    with conflict_means("jobs_one_open_job_per_subject", JobAlreadyOpen):
        restart(job, JobKind.named(job.kind), at, only=[State.FAILED, State.CANCELLED, State.BLOCKED])
    return Job.objects.get(id=job_id)


def delete_finished_jobs(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` jobs that ended before, with their steps; return how many jobs. In `operator()`.

    One that is being tried again at this moment is passed over.
    """
    old = Job.objects.filter(finished_at__lt=before).order_by("finished_at")
    # Locked before they are deleted: a job that was opened again since has lost its end, and isn't found.
    ids = list(old.select_for_update(skip_locked=True).values_list("id", flat=True)[:limit])
    Job.objects.filter(id__in=ids).delete()
    return len(ids)

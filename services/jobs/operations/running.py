"""A worker's moves: claim a step, and end it one way or another."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import connections

from fatfire.kit.errors import DomainError
from services.jobs.jobs import JobKind
from services.jobs.models import Job, JobStep, State
from services.jobs.operations.claims import ClaimedJob, LeaseLost, held_step
from services.jobs.operations.rows import fail_job, lock_job, restart, send_on_commit
from tenants.isolation import current_alias, tenant_or_operator


def claim(
    *,
    tenant_id: UUID | None,
    job_id: UUID,
    clock: Callable[[], dt.datetime],
    worker_ends_at: dt.datetime | None = None,
) -> ClaimedJob | None:
    """Take the job's first step that is due or whose worker is lost, and return the claim; None: nothing is to be done.

    A message may arrive twice, late or out of order: then this returns None, since the row and not the message decides.
    A step whose worker was lost more often than the kind's retries allow fails instead of being tried for ever.
    """
    at = clock()
    with tenant_or_operator(tenant_id):
        asked = {"id": job_id, "tenant_id": tenant_id, "at": at}
        job = _row(_LOCK_CLAIMABLE, asked)
        if job is None:
            return None
        kind = JobKind.named(job["kind"])
        lease_until = at + dt.timedelta(seconds=kind.lease_s)
        step = _row(_TAKE_STEP, {**asked, "lease_until": lease_until, "times": kind.retry.times})
        if step is None:
            return None
        if step["is_hopeless"]:
            died = "Its workers died again and again."
            fail_job(lock_job(job_id), kind, step["id"], at, code="worker_lost", detail=died)
            return None
    return ClaimedJob(
        id=job_id,
        tenant_id=tenant_id,
        kind=kind,
        subject_id=job["subject_id"],
        step=step["name"],
        step_id=step["id"],
        attempt=step["attempts"],
        retries=step["retries"],
        input=json.loads(step["input"]),
        output=json.loads(step["output"]),
        request_id=job["request_id"],
        started_at=at,
        deadline=at + dt.timedelta(seconds=kind.time_limit_s),
        clock=clock,
        worker_ends_at=worker_ends_at,
    )


_CLAIMABLE = """
    SELECT id, state, retries FROM jobs_jobstep WHERE job_id = %(id)s
    AND (state = 'queued' AND run_after <= %(at)s OR state = 'running' AND lease_until < %(at)s)
"""
# The lock waits for whoever just asked for the job to commit, so that the step sees what they wrote: two statements.
# A tenant's job never runs as the operator.
_LOCK_CLAIMABLE = f"""
    SELECT kind, subject_id, request_id FROM jobs_job
    WHERE id = %(id)s AND tenant_id IS NOT DISTINCT FROM %(tenant_id)s AND state IN ('queued', 'running')
    AND EXISTS ({_CLAIMABLE})
    FOR NO KEY UPDATE
"""  # noqa: S608  # made of our own text
_TAKE_STEP = f"""
    WITH found AS (
        {_CLAIMABLE} ORDER BY position LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ), judged AS (
        SELECT id, state = 'running' AS is_lost, state = 'running' AND retries >= %(times)s AS is_hopeless FROM found
    ), taken AS (
        UPDATE jobs_jobstep step
        SET state = 'running', lease_until = %(lease_until)s, started_at = %(at)s, attempts = attempts + 1,
            retries = retries + is_lost::int
        FROM judged WHERE step.id = judged.id AND NOT is_hopeless
        RETURNING step.id, name, attempts, retries, input, output
    ), begun AS (
        UPDATE jobs_job SET state = 'running', started_at = %(at)s
        WHERE id = %(id)s AND state = 'queued' AND EXISTS (SELECT FROM taken)
    )
    SELECT judged.id, is_hopeless, name, attempts, retries, input, output FROM judged LEFT JOIN taken USING (id)
"""  # noqa: S608  # made of our own text


def succeed(*, claim: ClaimedJob, output: dict[str, Any], at: dt.datetime) -> None:
    """End the claimed step well, release the steps that waited for it, and end the job after its last.

    In the open scope.

    Raises:
        LeaseLost: the step is no longer ours.
    """
    ending = _ending(claim, output, at)
    if len(claim.kind.steps) == 1 and _row(_END_ONLY_STEP, ending):
        return
    # The lock lets concurrent finishers pass one by one: the last one sees that all are done.
    job = _row("SELECT run_again FROM jobs_job WHERE id = %(id)s FOR NO KEY UPDATE", {"id": claim.id})
    ended = _row(_END_STEP, ending)
    if job is None or ended is None:
        raise LeaseLost
    states = {**json.loads(ended["states"]), claim.step: State.SUCCEEDED}
    ready = [
        step.name
        for step in claim.kind.steps
        if states.get(step.name) == State.BLOCKED
        # A step that this release added is no part of a job from before it.
        and all(states.get(name, State.SUCCEEDED) == State.SUCCEEDED for name in step.after)
    ]
    if ready:
        JobStep.objects.filter(job_id=claim.id, name__in=ready).update(state=State.QUEUED, run_after=at, sent_at=at)
        for _ in ready:
            send_on_commit(claim.kind, claim.id, claim.tenant_id)
    elif all(state == State.SUCCEEDED for state in states.values()):
        if job["run_again"]:
            restart(lock_job(claim.id), claim.kind, at)
        else:
            Job.objects.filter(id=claim.id).update(state=State.SUCCEEDED, finished_at=at)


# Most jobs have one step: nobody else can end such a job, and one statement does it all. Where there is more to do it
# finds nothing. The job is locked before its step, as everywhere: the step is joined to the row that the lock let out.
_END_ONLY_STEP = """
    WITH job AS (
        SELECT id FROM jobs_job WHERE id = %(job_id)s AND state = 'running' AND NOT run_again
        AND NOT EXISTS (SELECT FROM jobs_jobstep WHERE job_id = %(job_id)s AND id <> %(step_id)s)
        FOR NO KEY UPDATE
    ), step AS (
        UPDATE jobs_jobstep
        SET state = 'succeeded', lease_until = NULL, finished_at = %(at)s, output = %(output)s, error_code = '',
            error_detail = ''
        FROM job
        WHERE jobs_jobstep.id = %(step_id)s AND attempts = %(attempt)s AND state = 'running'
        RETURNING job.id AS job_id
    )
    UPDATE jobs_job SET state = 'succeeded', finished_at = %(at)s FROM step WHERE id = step.job_id RETURNING id
"""
# With the states of all the job's steps, of which that of this one is still the old.
_END_STEP = """
    WITH ended AS (
        UPDATE jobs_jobstep
        SET state = 'succeeded', lease_until = NULL, finished_at = %(at)s, output = %(output)s, error_code = '',
            error_detail = ''
        WHERE id = %(step_id)s AND attempts = %(attempt)s AND state = 'running'
        RETURNING id
    )
    SELECT (SELECT jsonb_object_agg(name, state) FROM jobs_jobstep WHERE job_id = %(job_id)s) AS states FROM ended
"""


def retry_later(*, claim: ClaimedJob, error: DomainError, at: dt.datetime) -> None:
    """Put the claimed step back, to be tried after the kind's backoff; ask `claim.may_retry` before. In the open scope.

    Raises:
        LeaseLost: the step is no longer ours.
    """
    delay_s = claim.kind.retry.delay_s(claim.retries + 1)
    _end_step(
        claim,
        State.QUEUED,
        retries=claim.retries + 1,
        run_after=at + dt.timedelta(seconds=delay_s),
        error_code=error.code,
        error_detail=error.detail[:500],
    )
    # Where messages can be delayed, one comes in time; it isn't counted on, so `sent_at` says nothing of it.
    send_on_commit(claim.kind, claim.id, claim.tenant_id, delay_s=delay_s)


def fail(*, claim: ClaimedJob, code: str, detail: str, at: dt.datetime) -> None:
    """End the claimed step and its job as failed. In the open scope.

    What runs beside it stops, what waited for it stays blocked: `retry_job` goes on from there. A job that was asked
    for once more while it ran starts again instead: whoever asked had something new.

    Raises:
        LeaseLost: the step is no longer ours.
    """
    job = lock_job(claim.id)
    if not held_step(claim).exists():
        raise LeaseLost
    fail_job(job, claim.kind, claim.step_id, at, code=code, detail=detail)


def _ending(claim: ClaimedJob, output: dict[str, Any], at: dt.datetime) -> dict[str, Any]:
    return {
        "job_id": claim.id, "step_id": claim.step_id, "attempt": claim.attempt, "output": json.dumps(output), "at": at,
    }  # fmt: skip


def _row(sql: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first row by its columns' names, in the open scope; JSON is left as text."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
        return None if row is None else dict(zip((each.name for each in cursor.description), row, strict=True))


def _end_step(claim: ClaimedJob, state: State, **changes: Any) -> None:
    if not held_step(claim).update(state=state, lease_until=None, **changes):
        raise LeaseLost

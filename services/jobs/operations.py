"""Moving jobs: enqueue, claim, report, finish, cancel, retry, sweep.

Locks are always taken in the order job, steps; the sweep alone takes steps only, and waits for none. Each function that
takes `at` (aware) treats it as the present moment.
"""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, Q, QuerySet

from fatfire.kit.errors import DomainError, TransientError
from services.jobs.jobs import JobKind, Queue, Reach
from services.jobs.models import Job, JobStep, State
from tenants.conflicts import conflict_means
from tenants.isolation import current_alias, current_tenant_id, operator, tenant_or_operator

SWEEP_BATCH = 1000
_OPEN = (State.QUEUED, State.RUNNING)


class LeaseLost(Exception):  # not an error of the job: another worker has it now
    """This attempt was taken for dead and its step given to another; stop, and write nothing."""


class JobStopped(Exception):  # not an error of the job: it was cancelled, or another of its steps failed
    """The job has ended; stop, and write nothing."""


class TimeLimitExceeded(DomainError):
    """The job took longer than it may."""

    status, code = 500, "time_limit_exceeded"


class OutOfTime(TransientError):
    """The worker had to end before the step did."""

    code = "out_of_time"


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

    While a job of the same kind and subject is open, that one is returned instead; if it is running already, it will
    run once more when it ends, so what was written just before this call is never missed. `inputs` maps step names to
    what the step is given when it starts next: ids and plain values only.

    Raises:
        ValueError: the kind's reach isn't the open scope's.
    """
    if (kind.reach is Reach.PLATFORM) != (current_tenant_id() is None):
        msg = f"{kind.name} is a job of the {kind.reach.value}"
        raise ValueError(msg)
    job = Job(
        kind=kind.name,
        subject_id=subject_id,
        created_at=at,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
    found = None
    while found is None:  # again, when the open one ended between the two statements
        # Not get_or_create: a lost race must not abort the caller's transaction.
        Job.objects.bulk_create([job], ignore_conflicts=True)
        # The lock keeps a queued one from starting before the caller's writes are committed and seen.
        open_jobs = Job.objects.select_for_update(no_key=True)
        found = open_jobs.filter(kind=kind.name, subject_id=subject_id, state__in=_OPEN).first()
    if found.id != job.id:
        for name, given in (inputs or {}).items():
            JobStep.objects.filter(job_id=found.id, name=name).update(input=given)
        if found.state == State.RUNNING:
            Job.objects.filter(id=found.id).update(run_again=True)
        return found
    steps = JobStep.objects.bulk_create(
        JobStep(
            job=job,
            name=step.name,
            position=position,
            state=State.BLOCKED if step.after else State.QUEUED,
            run_after=at,
            sent_at=None if step.after else at,
            input=(inputs or {}).get(step.name, {}),
        )
        for position, step in enumerate(kind.steps)
    )
    for step in steps:
        if step.state == State.QUEUED:
            _send_on_commit(kind, job.id, job.tenant_id)
    return job


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
    _send_on_commit(kind, job_id, None)


@dataclass(frozen=True, slots=True)
class Progress:
    """How a running step tells how far it is, and learns that it must stop."""

    claim: "ClaimedJob"

    def report(self, done: int, total: int | None = None, note: str = "", output: dict[str, Any] | None = None) -> None:
        """Record that `done` of `total` units are done and renew the lease.

        `output` is what the step has put out so far: shown at once, and given to whoever takes the step up after us.

        Call it in the transaction that writes the units: it locks the step, so that a worker whose lease is lost can't
        commit.

        Raises:
            LeaseLost: another worker has the step.
            JobStopped: the job was cancelled, or another of its steps failed.
            TimeLimitExceeded: the attempt ran into its limit.
            OutOfTime: the worker must end now.
        """
        claim, at = self.claim, self.claim.clock()
        with tenant_or_operator(claim.tenant_id):
            so_far = {} if output is None else {"output": output}
            if not _mine(claim).update(lease_until=at + dt.timedelta(seconds=claim.kind.lease_s), **so_far):
                raise LeaseLost if Job.objects.filter(id=claim.id, state__in=_OPEN).exists() else JobStopped
            if at > claim.deadline:
                raise TimeLimitExceeded
            if claim.worker_ends_at is not None and at > claim.worker_ends_at:
                raise OutOfTime
            # Against the order of locks, hence without waiting: of steps side by side, one's progress may not be shown.
            free = Job.objects.select_for_update(skip_locked=True, no_key=True).filter(id=claim.id)
            Job.objects.filter(id__in=free.values("id")).update(
                progress_done=done, progress_total=total, progress_note=note[:200]
            )


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """One attempt at one step, held by lease. `clock` gives the present; by `deadline` the attempt must be over.

    `output` is what earlier attempts reported, of one that died or failed half way. `worker_ends_at`: when the worker's
    own time is up (an invocation's on Lambda), which is no fault of the step's: it is tried again.
    """

    id: UUID
    tenant_id: UUID | None
    kind: JobKind
    subject_id: UUID | None
    step: str
    step_id: UUID
    attempt: int
    retries: int
    input: dict[str, Any]
    output: dict[str, Any]
    request_id: str
    started_at: dt.datetime
    deadline: dt.datetime
    clock: Callable[[], dt.datetime]
    worker_ends_at: dt.datetime | None = None

    @property
    def tenant(self) -> UUID:
        """Return the tenant of a job that has one; asking a job of the platform is a programming error."""
        return _present(self.tenant_id)

    @property
    def subject(self) -> UUID:
        """Return the subject of a job that has one; asking a job without one is a programming error."""
        return _present(self.subject_id)

    @property
    def may_retry(self) -> bool:
        """Whether the kind allows another attempt after this one."""
        return self.retries < self.kind.retry.times

    @property
    def progress(self) -> Progress:
        """Return where the operation reports."""
        return Progress(self)


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
        claimable = JobStep.objects.filter(
            Q(state=State.QUEUED, run_after__lte=at) | Q(state=State.RUNNING, lease_until__lt=at), job_id=job_id
        )
        # The lock waits for whoever just asked for the job to commit, so that the step sees what they wrote.
        locked = Job.objects.select_for_update(no_key=True)
        job = locked.filter(Exists(claimable), id=job_id, state__in=_OPEN).first()
        if job is None or job.tenant_id != tenant_id:  # a tenant's job never runs as the operator
            return None
        step = claimable.select_for_update(skip_locked=True, no_key=True).order_by("position").first()
        if step is None:
            return None
        kind = JobKind.named(job.kind)
        lost = step.state == State.RUNNING
        if lost and step.retries >= kind.retry.times:
            _fail(job, kind, step.id, at, code="worker_lost", detail="Its workers died again and again.")
            return None
        step.attempts += 1
        step.retries += 1 if lost else 0
        JobStep.objects.filter(id=step.id).update(
            state=State.RUNNING,
            attempts=step.attempts,
            retries=step.retries,
            lease_until=at + dt.timedelta(seconds=kind.lease_s),
            started_at=at,
        )
        if job.state == State.QUEUED:
            Job.objects.filter(id=job_id).update(state=State.RUNNING, started_at=at)
    return ClaimedJob(
        id=job_id,
        tenant_id=tenant_id,
        kind=kind,
        subject_id=job.subject_id,
        step=step.name,
        step_id=step.id,
        attempt=step.attempts,
        retries=step.retries,
        input=step.input,
        output=step.output,
        request_id=job.request_id,
        started_at=at,
        deadline=at + dt.timedelta(seconds=kind.time_limit_s),
        clock=clock,
        worker_ends_at=worker_ends_at,
    )


def succeed(*, claim: ClaimedJob, output: dict[str, Any], at: dt.datetime) -> None:
    """End the claimed step well, release the steps that waited for it, and end the job after its last.

    In the open scope.

    Raises:
        LeaseLost: the step is no longer ours.
    """
    # The lock lets concurrent finishers pass one by one: the last one sees that all are done.
    job = _locked(claim.id)
    _end_step(claim, State.SUCCEEDED, finished_at=at, output=output, error_code="", error_detail="")
    states = dict(JobStep.objects.filter(job_id=claim.id).values_list("name", "state"))
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
            _send_on_commit(claim.kind, claim.id, claim.tenant_id)
    elif all(state == State.SUCCEEDED for state in states.values()):
        if job.run_again:
            _restart(job, claim.kind, at)
        else:
            _end_job(job, State.SUCCEEDED, at)


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
    _send_on_commit(claim.kind, claim.id, claim.tenant_id, delay_s=delay_s)


def fail(*, claim: ClaimedJob, code: str, detail: str, at: dt.datetime) -> None:
    """End the claimed step and its job as failed. In the open scope.

    What runs beside it stops, what waited for it stays blocked: `retry_job` goes on from there. A job that was asked
    for once more while it ran starts again instead: whoever asked had something new.

    Raises:
        LeaseLost: the step is no longer ours.
    """
    job = _locked(claim.id)
    if not _mine(claim).exists():
        raise LeaseLost
    _fail(job, claim.kind, claim.step_id, at, code=code, detail=detail)


def hold_job(*, job_id: UUID) -> Job:
    """Return the job, none of whose steps can begin before the caller's transaction ends.

    Raises:
        Job.DoesNotExist: not this tenant's.
    """
    return _locked(job_id)


def cancel_job(*, job_id: UUID, at: dt.datetime) -> Job:
    """Stop the job: what waits won't start, and what runs stops at its next report, undoing what it hasn't committed.

    Raises:
        Job.DoesNotExist: not this tenant's.
        JobNotOpen: it has ended.
    """
    job = _locked(job_id)
    if job.state not in _OPEN:
        raise JobNotOpen
    _end_job(job, State.CANCELLED, at)
    return Job.objects.get(id=job_id)


def retry_job(*, job_id: UUID, at: dt.datetime) -> Job:
    """Queue a failed or cancelled job again, from the steps that didn't succeed.

    Raises:
        Job.DoesNotExist: not this tenant's.
        JobNotFailed: it is open or succeeded.
        JobAlreadyOpen: a newer job does the same work.
    """
    job = _locked(job_id)
    if job.state not in {State.FAILED, State.CANCELLED}:
        raise JobNotFailed
    with conflict_means("jobs_one_open_job_per_subject", JobAlreadyOpen):
        _restart(job, JobKind.named(job.kind), at, only=[State.FAILED, State.CANCELLED, State.BLOCKED])
    return Job.objects.get(id=job_id)


def sweep(*, at: dt.datetime, resend_after_s: int) -> int:
    """Send a message for each step that is due and that no message has reached, and for each whose worker is lost.

    "Not reached" is a guess: none was sent since the step became due, or the last was sent over `resend_after_s` ago. A
    message too many does nothing. Kinds that this release doesn't know are left to the one that does. Returns the
    number sent, at most SWEEP_BATCH. Across tenants, in its own transaction.
    """
    kinds = {kind.name: kind for kind in JobKind.all()}
    unheard = Q(sent_at__isnull=True) | Q(sent_at__lt=at - dt.timedelta(seconds=resend_after_s))
    due = Q(state=State.QUEUED, run_after__lte=at) & (unheard | Q(sent_at__lt=F("run_after")))
    lost = Q(state=State.RUNNING, lease_until__lt=at) & (unheard | Q(sent_at__lt=F("lease_until")))
    with operator():
        found = list(
            JobStep.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .filter(due | lost, job__kind__in=kinds)
            .order_by("run_after")
            .values_list("id", "job_id", "job__kind", "tenant_id")[:SWEEP_BATCH]
        )
        JobStep.objects.filter(id__in=[row[0] for row in found]).update(sent_at=at)
        for _, job_id, kind, tenant_id in found:
            _send_on_commit(kinds[kind], job_id, tenant_id)
    return len(found)


def take_over(*, at: dt.datetime) -> int:
    """Take every worker for dead and every message for lost; return how many steps were running. Across tenants.

    For the start of a worker that is the only one and whose messages die with it: nobody needs to wait for the leases
    of its killed predecessor to run out. Were it wrong, the steps would run twice, and only one of each could commit.
    """
    with operator():
        JobStep.objects.filter(state=State.QUEUED).update(sent_at=None)
        running = JobStep.objects.filter(state=State.RUNNING, lease_until__gte=at)
        return running.update(lease_until=at - dt.timedelta(microseconds=1))


def delete_finished_jobs(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` jobs that ended before, with their steps; return how many jobs. In `operator()`.

    One that is being tried again at this moment is passed over.
    """
    old = Job.objects.filter(finished_at__lt=before).order_by("finished_at")
    # Locked before they are deleted: a job that was opened again since has lost its end, and isn't found.
    ids = list(old.select_for_update(skip_locked=True).values_list("id", flat=True)[:limit])
    Job.objects.filter(id__in=ids).delete()
    return len(ids)


def _present(value: UUID | None) -> UUID:
    if value is None:
        msg = "this kind of job has none"
        raise ValueError(msg)
    return value


def _locked(job_id: UUID) -> Job:
    return Job.objects.select_for_update(no_key=True).get(id=job_id)


def _mine(claim: ClaimedJob) -> QuerySet[JobStep]:
    """Return the claimed step, or nothing when the claim no longer holds."""
    return JobStep.objects.filter(id=claim.step_id, attempts=claim.attempt, state=State.RUNNING)


def _end_step(claim: ClaimedJob, state: State, **changes: Any) -> None:
    if not _mine(claim).update(state=state, lease_until=None, **changes):
        raise LeaseLost


def _fail(job: Job, kind: JobKind, step_id: UUID, at: dt.datetime, *, code: str, detail: str) -> None:
    """End the step and the job as failed. The job is locked."""
    error = {"error_code": code, "error_detail": detail[:500]}
    JobStep.objects.filter(id=step_id).update(state=State.FAILED, lease_until=None, finished_at=at, **error)
    if job.run_again:
        _restart(job, kind, at)
    else:
        _end_job(job, State.FAILED, at, **error)


def _end_job(job: Job, state: State, at: dt.datetime, **changes: Any) -> None:
    """End the job, and with it whichever of its steps are open; those of a failed one stay blocked. It is locked."""
    ends = _OPEN if state == State.FAILED else [State.BLOCKED, *_OPEN]
    open_steps = JobStep.objects.filter(job_id=job.id, state__in=ends)
    open_steps.update(state=State.CANCELLED, lease_until=None, finished_at=at)
    Job.objects.filter(id=job.id).update(state=state, finished_at=at, run_again=False, **changes)


def _restart(job: Job, kind: JobKind, at: dt.datetime, *, only: Collection[State] = tuple(State)) -> None:
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
        _send_on_commit(kind, job.id, job.tenant_id)


def _send_on_commit(kind: JobKind, job_id: UUID, tenant_id: UUID | None, *, delay_s: int = 0) -> None:
    message = {"job_id": str(job_id), "tenant_id": str(tenant_id) if tenant_id else None}
    # Robust: the row is committed by then, and the sweep sends again what the broker didn't take.
    send = partial(_send, kind.name, kind.queue, message, delay_s)
    transaction.on_commit(send, using=current_alias(), robust=True)


def _send(name: str, queue: Queue, message: dict[str, str | None], delay_s: int) -> None:
    from fatfire import celery  # Celery takes a third of a second to import; pages that enqueue nothing needn't

    celery.send(name=name, queue=queue.value, message=message, delay_s=delay_s)

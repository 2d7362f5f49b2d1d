"""One attempt at one step, while its worker holds it: what it is given, and where it reports."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from fatfire.kit.errors import DomainError, TransientError
from services.jobs.jobs import JobKind
from services.jobs.models import OPEN, Job, JobStep, State
from tenants.isolation import current_alias, tenant_or_operator


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
            if not held_step(claim).update(lease_until=at + dt.timedelta(seconds=claim.kind.lease_s), **so_far):
                raise _no_longer_held(claim)
            if at > claim.deadline:
                raise TimeLimitExceeded
            if claim.worker_ends_at is not None and at > claim.worker_ends_at:
                raise OutOfTime
            # Against the order of locks, hence without waiting: of steps side by side, one's progress may not be shown.
            free = Job.objects.select_for_update(skip_locked=True, no_key=True).filter(id=claim.id)
            Job.objects.filter(id__in=free.values("id")).update(
                progress_done=done, progress_total=total, progress_note=note[:200]
            )
            if claim.reported:
                transaction.on_commit(claim.reported, using=current_alias(), robust=True)

    def require_claim(self) -> None:
        """Lock the step as `report` does, for who writes without reporting anything.

        Raises:
            LeaseLost: another worker has the step.
            JobStopped: the job was cancelled, or another of its steps failed.
        """
        with tenant_or_operator(self.claim.tenant_id):
            if held_step(self.claim).select_for_update(no_key=True).first() is None:
                raise _no_longer_held(self.claim)


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """One attempt at one step, held by lease. `clock` gives the present; by `deadline` the attempt must be over.

    `output` is what earlier attempts reported, of one that died or failed half way. `worker_ends_at`: when the worker's
    own time is up (an invocation's on Lambda), which is no fault of the step's: it is tried again. `reported` is called
    after the commit of each report.
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
    reported: Callable[[], object] | None = None

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


def held_step(claim: ClaimedJob) -> QuerySet[JobStep]:
    """Return the claimed step, or nothing when the claim no longer holds."""
    return JobStep.objects.filter(id=claim.step_id, attempts=claim.attempt, state=State.RUNNING)


def _no_longer_held(claim: ClaimedJob) -> LeaseLost | JobStopped:
    return LeaseLost() if Job.objects.filter(id=claim.id, state__in=OPEN).exists() else JobStopped()


def _present(value: UUID | None) -> UUID:
    if value is None:
        msg = "this kind of job has none"
        raise ValueError(msg)
    return value

"""The one wrapper around every task: claims the job, runs the operation, records the invocation, plans the retry."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError

from fatfire.celery import app
from fatfire.kit import clock
from fatfire.kit.errors import DomainError, TransientError
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from services.jobs.operations import ClaimedJob, JobStopped, LeaseLost
from services.jobs.queries import due_jobs
from services.telemetry.operations import Kind, Outcome, Run, record_invocation
from tenants.isolation import tenant_or_operator
from workers.nudges import Nudges

logger = structlog.get_logger(__name__)

type Output = dict[str, Any] | None
type Operation = Callable[[ClaimedJob], Output]

OPERATIONS: dict[tuple[str, str], Operation] = {}
"""What runs each step: (kind's name, step's name) -> function."""


_worker_ends_at: ContextVar[dt.datetime | None] = ContextVar("worker_ends_at", default=None)


class DatabaseInterrupted(TransientError):
    """The database could not finish what was asked of it."""

    code = "database_interrupted"


def task(kind: JobKind, step: str = "run") -> Callable[[Operation], Operation]:
    """Register the function as what runs `step` of `kind`, behind the Celery task of the kind's name.

    The function calls one operation. What it returns (plain JSON values) is kept as the step's output.
    """
    if step not in {each.name for each in kind.steps}:
        msg = f"{kind.name} has no step {step!r}"
        raise ValueError(msg)

    def register(function: Operation) -> Operation:
        if OPERATIONS.setdefault((kind.name, step), function) is not function:
            msg = f"step {step!r} of {kind.name} has two functions"
            raise ValueError(msg)
        if kind.name not in app.tasks:
            app.task(_receive, name=kind.name)
        return function

    return register


@contextlib.contextmanager
def worker_ends_at(moment: dt.datetime) -> Iterator[None]:
    """Have jobs that are run in the block stop at their first report after `moment` (aware), to be tried again."""
    token = _worker_ends_at.set(moment)
    try:
        yield
    finally:
        _worker_ends_at.reset(token)


def _receive(*, job_id: str, tenant_id: str | None) -> None:
    """Take one message from Celery. Where nothing is to be done, the job was moved otherwise: cancelled, or taken."""
    job, tenant = UUID(job_id), UUID(tenant_id) if tenant_id else None
    if not advance(job_id=job, tenant_id=tenant):
        Nudges(job, tenant).send()


def advance(*, job_id: UUID, tenant_id: UUID | None, now: Callable[[], dt.datetime] = clock.now) -> bool:
    """Claim one due step of the job and run it; return whether there was one.

    Only a TransientError is tried again, and what the database interrupted (a deadlock, a lost connection); where it
    can't even be told so, the lease decides. An unexpected error fails the job with the code "internal_error" and is
    logged with its traceback.
    """
    claim = jobs.claim(tenant_id=tenant_id, job_id=job_id, clock=now, worker_ends_at=_worker_ends_at.get())
    if claim is None:
        return False
    nudges = Nudges(job_id, tenant_id)
    claim = dataclasses.replace(claim, reported=nudges.send_now_and_then)
    name = f"{claim.kind.name}:{claim.step}"
    with structlog.contextvars.bound_contextvars(
        request_id=claim.request_id, job_id=str(job_id), tenant_id=tenant_id and str(tenant_id), job=name
    ):
        try:
            nudges.send()
            output = OPERATIONS[claim.kind.name, claim.step](claim)
            _end(claim, name, Outcome.OK, "", lambda at: jobs.succeed(claim=claim, output=output or {}, at=at))
        except (LeaseLost, JobStopped) as stop:
            logger.info("job_left", reason=type(stop).__name__)
        except OperationalError:
            logger.exception("job_interrupted")
            _end_badly(claim, name, DatabaseInterrupted())
        except DomainError as error:
            _end_badly(claim, name, error)
        except Exception:  # the outermost edge of a job
            logger.exception("job_failed")
            _end_badly(claim, name, None)
        nudges.send()
    return True


def run_due(*, now: Callable[[], dt.datetime] = clock.now) -> int:
    """Run every job that is due, here and one after the other, until none is; return how many steps ran."""
    ran = 0
    while due := due_jobs(at=now()):
        ran += sum(advance(job_id=job_id, tenant_id=tenant_id, now=now) for job_id, tenant_id in due)
    return ran


def _end_badly(claim: ClaimedJob, name: str, error: DomainError | None) -> None:
    """Retry what may work later; fail the rest. `error` is None for one that nobody expected."""
    if isinstance(error, TransientError) and claim.may_retry:
        _end(claim, name, Outcome.RETRIED, error.code, lambda at: jobs.retry_later(claim=claim, error=error, at=at))
        return
    code, detail = (error.code, error.detail) if error else ("internal_error", "Something went wrong on our side.")
    outcome = Outcome.REFUSED if error and error.status < 500 else Outcome.FAILED
    _end(claim, name, outcome, code, lambda at: jobs.fail(claim=claim, code=code, detail=detail, at=at))


def _end(claim: ClaimedJob, name: str, outcome: Outcome, code: str, write: Callable[[dt.datetime], Any]) -> None:
    """Write the end of the step and its invocation in one transaction."""
    at = claim.clock()
    run = Run(
        kind=Kind.JOB,
        name=name,
        outcome=outcome,
        started_at=claim.started_at,
        ended_at=at,
        request_id=claim.request_id,
        error_code=code,
        job_id=claim.id,
    )
    try:
        with tenant_or_operator(claim.tenant_id):
            write(at)
            record_invocation(run)
    except LeaseLost:
        logger.info("job_left", reason="LeaseLost")

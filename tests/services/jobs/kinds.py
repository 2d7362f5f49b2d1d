"""Kinds of job for tests, and what tests of jobs ask again and again."""

import datetime as dt
from uuid import UUID

from fatfire.celery import app
from fatfire.kit.errors import TransientError
from services.jobs import operations as jobs
from services.jobs.jobs import Backoff, JobKind, Queue, Reach, Step
from services.jobs.models import Job, JobStep, State
from services.jobs.operations import ClaimedJob
from tenants.isolation import tenant, tenant_or_operator
from tests.factories import AT

SINGLE = JobKind("test.single", lease_s=60, time_limit_s=300, retry=Backoff(first_s=5, times=2))
ELSEWHERE = JobKind("test.elsewhere", queue=Queue.HISTORY)
PLATFORM = JobKind("test.platform", reach=Reach.PLATFORM)
DIAMOND = JobKind(
    "test.diamond",
    retry=Backoff(first_s=5, times=1),
    steps=(Step("first"), Step("left", ("first",)), Step("right", ("first",)), Step("last", ("left", "right"))),
)
SUBJECT = UUID(int=7)


class Flaky(TransientError):
    """It may work next time."""

    code = "flaky"


def later(seconds: float) -> dt.datetime:
    """Return a moment after the tests' present."""
    return AT + dt.timedelta(seconds=seconds)


def claim(job: Job, *, at: dt.datetime = AT) -> ClaimedJob | None:
    """Claim a step of the job, as a worker does."""
    return jobs.claim(tenant_id=job.tenant_id, job_id=job.id, clock=lambda: at)


def claimed(job: Job, *, at: dt.datetime = AT) -> ClaimedJob:
    """Claim a step of a job that has one."""
    found = claim(job, at=at)
    assert found is not None
    return found


def succeed(claim: ClaimedJob, *, at: dt.datetime = AT, **output: object) -> None:
    """End the claim well, as a worker does."""
    with tenant_or_operator(claim.tenant_id):
        jobs.succeed(claim=claim, output=output, at=at)


def fail(claim: ClaimedJob, *, code: str = "broken", detail: str = "It broke.", at: dt.datetime = AT) -> None:
    """End the claim badly, as a worker does."""
    with tenant_or_operator(claim.tenant_id):
        jobs.fail(claim=claim, code=code, detail=detail, at=at)


def retry_later(claim: ClaimedJob, *, at: dt.datetime = AT) -> None:
    """Put the claim's step back, as a worker does."""
    with tenant_or_operator(claim.tenant_id):
        jobs.retry_later(claim=claim, error=Flaky(), at=at)


def job_now(job: Job) -> Job:
    """Return the job as it is now."""
    with tenant_or_operator(job.tenant_id):
        return Job.objects.get(id=job.id)


def steps_now(job: Job) -> dict[str, JobStep]:
    """Return the job's steps as they are now, by name."""
    with tenant_or_operator(job.tenant_id):
        return {step.name: step for step in JobStep.objects.filter(job_id=job.id).order_by("position")}


def states_now(job: Job) -> dict[str, str]:
    """Return the states of the job's steps, by name."""
    return {name: step.state for name, step in steps_now(job).items()}


def take_messages() -> list[tuple[str, str, dict[str, str | None]]]:
    """Take every message from the broker; return (queue, task, what it says) of each."""
    taken = []
    with app.connection_for_read() as connection:
        for queue in Queue:
            bound = app.amqp.queues[queue.value](connection.default_channel)
            bound.declare()
            while message := bound.get(no_ack=True):
                taken.append((queue.value, message.headers["task"], message.payload[1]))
    return taken


ENDED = {State.SUCCEEDED, State.FAILED, State.CANCELLED}


def cancel(job_id, tenant_id, at=AT):
    with tenant(tenant_id):
        return jobs.cancel_job(job_id=job_id, at=at)


def as_enqueued(claim):
    return None


def retry(job, at=AT):
    with tenant(job.tenant_id):
        return jobs.retry_job(job_id=job.id, at=at)

"""The wrapper around every task: what each way of ending leaves in the job, in the invocations and in the log."""

import datetime as dt
import json
import logging

import pytest
from django.db import connection

from fatfire.kit.errors import DomainError, InvalidInput, PermissionDenied, TransientError
from fatfire.kit.logging import json_formatter
from services.core.models import Portfolio
from services.exchange.jobs import LOAD_RATES
from services.history.jobs import ROLL_UP_DUE
from services.jobs import operations as jobs
from services.jobs.jobs import Backoff, JobKind, Step
from services.jobs.models import Job, JobStep, State
from services.telemetry.models import Invocation
from tenants.isolation import TenantNotSet, operator, tenant
from tests.factories import AT, make_portfolio, make_tenant
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import OPERATIONS, advance, run_due, task

KIND = JobKind("test.runner", time_limit_s=10, retry=Backoff(first_s=5, times=1))
CHAIN = JobKind("test.runner_chain", steps=(Step("first"), Step("second", ("first",))))
SECRET = "the-secret-of-the-frame"  # noqa: S105  # a test's

behaviour = {}


@task(KIND)
def run(job):
    return behaviour["run"](job)


@task(CHAIN, step="first")
def run_first(job):
    return {"ran": job.step}


@task(CHAIN, step="second")
def run_second(job):
    return {"ran": job.step}


class OursToMend(DomainError):
    """Something of ours is broken."""

    status, code = 500, "ours"


@pytest.fixture
def owner(database):
    return make_tenant().id


@pytest.fixture
def job(owner):
    with tenant(owner):
        return jobs.enqueue(kind=KIND, at=AT)


def raising(error):
    def behave(_):
        raise error

    return behave


def divide_by_zero(_):
    kept_in_the_frame = SECRET
    return len(kept_in_the_frame) / 0


def break_the_connection(job):
    with tenant(job.tenant):
        make_portfolio(name="Undone")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def run_out_of_time(job):
    job.progress.report(1)
    moments.append(AT + dt.timedelta(seconds=11))
    job.progress.report(2)


def time_out_a_statement(job):
    with tenant(job.tenant), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)")


moments = [AT]


@pytest.fixture(autouse=True)
def present():
    moments[:] = [AT]


def step_of(job):
    with tenant(job.tenant_id):
        return JobStep.objects.get(job_id=job.id)


def invocations_of(job):
    with tenant(job.tenant_id):
        return list(
            Invocation.objects.filter(job_id=job.id).order_by("started_at").values_list("outcome", "error_code")
        )


@pytest.mark.parametrize(
    ("behave", "state", "invocation"),
    [
        (lambda job: {"rows": 3}, State.SUCCEEDED, ("ok", "")),
        (lambda job: None, State.SUCCEEDED, ("ok", "")),
        (raising(PermissionDenied()), State.FAILED, ("refused", "permission_denied")),
        (raising(InvalidInput("No.", field="x")), State.FAILED, ("refused", "invalid_input")),
        (raising(OursToMend()), State.FAILED, ("failed", "ours")),
        (raising(TransientError()), State.QUEUED, ("retried", "temporarily_unavailable")),
        (raising(TenantNotSet()), State.FAILED, ("failed", "internal_error")),
        (divide_by_zero, State.FAILED, ("failed", "internal_error")),
        (lambda job: {"not": object()}, State.FAILED, ("failed", "internal_error")),
        (run_out_of_time, State.FAILED, ("failed", "time_limit_exceeded")),
        (break_the_connection, State.QUEUED, ("retried", "database_interrupted")),
        (time_out_a_statement, State.QUEUED, ("retried", "database_interrupted")),
    ],
)
def test_each_end_is_written_and_recorded(job, behave, state, invocation):
    behaviour["run"] = behave

    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: moments[-1])

    step = step_of(job)
    assert (step.state, step.lease_until) == (state, None)
    assert step.error_code == (invocation[1] if state != State.SUCCEEDED else "")
    assert invocations_of(job) == [invocation]
    with tenant(job.tenant_id):
        assert Job.objects.get(id=job.id).state == (State.RUNNING if state == State.QUEUED else state)
        found = Invocation.objects.get(job_id=job.id)
    assert (found.kind, found.name, found.tenant_id, found.status) == ("job", "test.runner:run", job.tenant_id, None)
    assert found.duration_ms == (11_000 if behave is run_out_of_time else 0)


def test_output_is_kept(job):
    behaviour["run"] = lambda _: {"rows": 3}

    advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT)

    assert step_of(job).output == {"rows": 3}


def test_last_retry_that_fails_fails_the_job(job):
    behaviour["run"] = raising(TransientError("The bank sleeps."))
    at = AT
    for seconds in (0, 5):
        at = AT + dt.timedelta(seconds=seconds)
        advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda at=at: at)

    step = step_of(job)
    assert (step.state, step.error_code, step.error_detail) == ("failed", "temporarily_unavailable", "The bank sleeps.")
    assert invocations_of(job) == [("retried", "temporarily_unavailable"), ("failed", "temporarily_unavailable")]


def test_unexpected_error_tells_the_person_nothing_and_the_log_all_but_secrets(job, caplog):
    behaviour["run"] = divide_by_zero

    advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT)

    assert step_of(job).error_detail == "Something went wrong on our side."
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    line = json_formatter().format(record)
    logged = json.loads(line)
    assert (logged["event"], logged["job_id"], logged["tenant_id"], logged["job"]) == (
        "job_failed",
        str(job.id),
        str(job.tenant_id),
        "test.runner:run",
    )
    frames = [frame["name"] for frame in logged["exception"][0]["frames"]]
    assert (logged["exception"][0]["exc_type"], frames[-1]) == ("ZeroDivisionError", "divide_by_zero")
    assert SECRET not in line


def test_what_a_stopped_job_wrote_is_undone_and_not_recorded(job):
    def lose_the_lease(found):
        with tenant(found.tenant):
            jobs.cancel_job(job_id=found.id, at=AT)
        with tenant(found.tenant):
            make_portfolio()
            found.progress.report(1)

    behaviour["run"] = lose_the_lease

    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT)

    assert step_of(job).state == State.CANCELLED
    assert invocations_of(job) == []
    with tenant(job.tenant_id):
        assert not Portfolio.objects.exists()


def test_worker_that_ends_after_its_lease_writes_no_end(job):
    def be_slow(found):
        other = jobs.claim(
            tenant_id=found.tenant_id, job_id=found.id, clock=lambda: AT + dt.timedelta(seconds=KIND.lease_s + 1)
        )
        assert other.attempt == 2

    behaviour["run"] = be_slow

    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT)

    assert (step_of(job).state, step_of(job).attempts) == (State.RUNNING, 2)
    assert invocations_of(job) == []


def test_advance_without_anything_due_does_nothing(job):
    behaviour["run"] = lambda _: None
    early = AT - dt.timedelta(seconds=1)

    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: early) is False
    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT) is True
    assert advance(job_id=job.id, tenant_id=job.tenant_id, now=lambda: AT) is False


def test_run_due_runs_all_steps_of_all_jobs(owner, job):
    behaviour["run"] = lambda _: None
    with tenant(owner):
        chain = jobs.enqueue(kind=CHAIN, at=AT)

    assert run_due(now=lambda: AT) == 3

    with tenant(owner):
        outputs = dict(JobStep.objects.filter(job_id=chain.id).values_list("name", "output"))
        assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}
    assert outputs == {"first": {"ran": "first"}, "second": {"ran": "second"}}
    assert run_due(now=lambda: AT) == 0


def test_step_that_the_kind_lacks_is_refused():
    with pytest.raises(ValueError, match="has no step 'third'"):
        task(CHAIN, step="third")


def test_second_function_for_a_step_is_refused():
    with pytest.raises(ValueError, match="has two functions"):
        task(KIND)(lambda job: None)
    assert OPERATIONS[KIND.name, "run"] is run


def test_new_rates_have_everything_in_other_currencies_worked_out_again(database, settings):
    settings.RATES_URL = ""
    with operator():
        job = jobs.enqueue(kind=LOAD_RATES, at=AT)

    assert advance(job_id=job.id, tenant_id=None, now=lambda: AT)

    with operator():
        assert Job.objects.filter(state=State.QUEUED).values_list("kind", flat=True).get() == ROLL_UP_DUE.name
        again = jobs.enqueue(kind=LOAD_RATES, at=AT)
        Job.objects.filter(kind=ROLL_UP_DUE.name).delete()
    advance(job_id=again.id, tenant_id=None, now=lambda: AT)
    with operator():
        assert not Job.objects.filter(kind=ROLL_UP_DUE.name).exists()  # nothing was new

"""How a job moves: enqueued, claimed, reported, ended, tried again, cancelled."""

import uuid

import pytest

from services.jobs import operations as jobs
from services.jobs.jobs import Backoff, JobKind, Step
from services.jobs.models import Job, State
from services.jobs.operations import (
    JobAlreadyOpen,
    JobNotFailed,
    JobNotOpen,
    JobStopped,
    LeaseLost,
    TimeLimitExceeded,
)
from tenants.isolation import TenantNotSet, operator, shared, tenant
from tests.factories import AT, make_tenant
from tests.services.jobs.kinds import (
    ELSEWHERE,
    PLATFORM,
    SINGLE,
    SUBJECT,
    as_enqueued,
    cancel,
    claim,
    claimed,
    fail,
    job_now,
    later,
    retry,
    retry_later,
    states_now,
    steps_now,
    succeed,
    take_messages,
)

# Kinds


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (Backoff(), [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]),
        (Backoff(first_s=60, longest_s=200), [60, 120, 200, 200]),
        (Backoff(first_s=1, longest_s=1), [1, 1]),
    ],
    ids=str,
)
def test_backoff_doubles_up_to_its_limit(backoff, waits):
    assert [backoff.delay_s(attempt) for attempt in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize(
    "steps",
    [(Step("a"), Step("a")), (Step("a", ("b",)), Step("b")), (Step("a", ("a",)),), (Step("a", ("nowhere",)),)],
    ids=["twice", "before what it waits for", "after itself", "after nothing"],
)
def test_graph_that_cannot_run_is_refused(steps):
    with pytest.raises(ValueError, match="named twice or comes before"):
        JobKind("test.impossible", steps=steps)


def test_two_kinds_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two kinds of job are named"):
        JobKind("test.single", time_limit_s=1)


# Enqueue


def test_enqueue_writes_the_job_and_sends_a_message(owner):
    with tenant(owner):
        job = jobs.enqueue(kind=ELSEWHERE, subject_id=SUBJECT, at=AT, inputs={"run": {"refresh": True}})
        assert take_messages() == []

    assert take_messages() == [("history", "test.elsewhere", {"job_id": str(job.id), "tenant_id": str(owner)})]
    job = job_now(job)
    assert (job.kind, job.subject_id, job.state, job.created_at) == ("test.elsewhere", SUBJECT, State.QUEUED, AT)
    step = steps_now(job)["run"]
    assert (step.state, step.run_after, step.sent_at, step.input) == (State.QUEUED, AT, AT, {"refresh": True})


def test_enqueue_that_is_rolled_back_leaves_nothing(owner):
    def enqueue_and_break():
        jobs.enqueue(kind=SINGLE, at=AT)
        1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError), tenant(owner):
        enqueue_and_break()

    assert take_messages() == []
    with tenant(owner):
        assert not Job.objects.exists()


@pytest.mark.parametrize(("kind", "scope"), [(PLATFORM, tenant), (SINGLE, operator)], ids=["platform's", "tenant's"])
def test_enqueue_outside_the_kinds_reach_is_refused(owner, kind, scope):
    arguments = (owner,) if scope is tenant else ()
    with pytest.raises(ValueError, match="is a job of the"), scope(*arguments):
        jobs.enqueue(kind=kind, at=AT)


def test_enqueue_without_a_tenant_is_refused(owner):
    with pytest.raises(TenantNotSet), shared():
        jobs.enqueue(kind=SINGLE, at=AT)


def test_job_of_the_platform_has_no_tenant(owner):
    with operator():
        job = jobs.enqueue(kind=PLATFORM, at=AT)
        again = jobs.enqueue(kind=PLATFORM, at=AT)

    assert (job.tenant_id, again.id) == (None, job.id)
    assert take_messages() == [("default", "test.platform", {"job_id": str(job.id), "tenant_id": None})]
    with tenant(owner):
        assert not Job.objects.exists()
    claimed_job = claimed(job)
    with pytest.raises(ValueError, match="has none"):
        claimed_job.tenant  # noqa: B018
    with pytest.raises(ValueError, match="has none"):
        claimed_job.subject  # noqa: B018
    succeed(claimed_job)
    assert job_now(job).state == State.SUCCEEDED


@pytest.mark.parametrize(
    ("kind", "subject_id", "is_same"),
    [(SINGLE, SUBJECT, True), (SINGLE, None, False), (SINGLE, uuid.UUID(int=8), False), (ELSEWHERE, SUBJECT, False)],
    ids=["same", "no subject", "other subject", "other kind"],
)
def test_one_job_is_open_for_each_kind_and_subject(owner, single, kind, subject_id, is_same):
    with tenant(owner):
        other = jobs.enqueue(kind=kind, subject_id=subject_id, at=later(1))
        again = jobs.enqueue(kind=kind, subject_id=subject_id, at=later(2))

    assert (other.id == single.id) == is_same
    assert again.id == other.id


def test_one_tenants_open_job_is_not_anothers(owner, single):
    other = make_tenant().id
    with tenant(other):
        theirs = jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT)

    assert theirs.id != single.id
    assert claim(single).id == single.id
    assert claim(theirs).id == theirs.id


@pytest.mark.parametrize("end", [succeed, fail, lambda claim: cancel(claim.id, claim.tenant_id)])
def test_after_its_end_a_new_job_is_queued(owner, single, end):
    end(claimed(single))

    with tenant(owner):
        assert jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT).id != single.id


@pytest.mark.parametrize("end", [succeed, fail])
def test_job_asked_for_while_it_runs_runs_once_more(owner, single, end):
    """Whoever asks has written something that the run may have read past; that holds for a run that fails, too."""
    first = claimed(single)
    take_messages()
    with tenant(owner):
        for _ in range(3):
            asked = jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=later(1), inputs={"run": {"refresh": True}})
    assert (asked.id, take_messages()) == (single.id, [])

    end(first, at=later(2))

    job, step = job_now(single), steps_now(single)["run"]
    assert (job.state, job.run_again, job.error_code, step.state) == (State.QUEUED, False, "", State.QUEUED)
    assert len(take_messages()) == 1
    second = claimed(single, at=later(2))
    assert (second.attempt, second.retries, second.input) == (2, 0, {"refresh": True})
    end(second, at=later(3))
    assert job_now(single).state in {State.SUCCEEDED, State.FAILED}
    assert take_messages() == []


def test_cancelled_job_does_not_run_once_more(owner, single):
    claimed(single)
    with tenant(owner):
        jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT)

    cancel(single.id, owner)

    assert job_now(single).state == State.CANCELLED
    assert claim(single, at=later(1000)) is None


def test_what_a_later_request_gives_is_what_a_queued_job_gets(owner, single):
    with tenant(owner):
        jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT, inputs={"run": {"refresh": True}})
        jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT)

    assert claimed(single).input == {"refresh": True}


# Claim


def test_claim_says_what_to_do_and_takes_the_step(owner, single):
    found = claimed(single, at=later(3))

    assert (found.id, found.tenant, found.subject, found.kind, found.step) == (single.id, owner, SUBJECT, SINGLE, "run")
    assert (found.attempt, found.retries, found.started_at, found.deadline) == (1, 0, later(3), later(303))
    job, step = job_now(single), steps_now(single)["run"]
    assert (job.state, job.started_at, job.finished_at) == (State.RUNNING, later(3), None)
    assert (step.state, step.attempts, step.lease_until) == (State.RUNNING, 1, later(63))


@pytest.mark.parametrize(
    ("before", "at_s", "expected"),
    [
        # What happened before, when the message comes, and the attempt that it becomes (None: it does nothing).
        (as_enqueued, 0, 1),
        (as_enqueued, -1, None),
        (as_enqueued, 100_000, 1),
        ("claim", 0, None),
        ("claim", 60, None),
        ("claim", 61, 2),
        (succeed, 0, None),
        (succeed, 100_000, None),
        (fail, 100_000, None),
        (retry_later, 4, None),
        (retry_later, 5, 2),
        (lambda claim: cancel(claim.id, claim.tenant_id), 100_000, None),
    ],
)
def test_message_does_what_the_row_says(single, before, at_s, expected):
    if before == "claim":
        claimed(single)
    elif before is not as_enqueued:
        before(claimed(single))

    found = claim(single, at=later(at_s))

    assert (found and found.attempt) == expected


def test_message_about_nothing_does_nothing(owner, single):
    stranger = make_tenant().id

    assert jobs.claim(tenant_id=owner, job_id=uuid.uuid4(), clock=lambda: AT) is None
    assert jobs.claim(tenant_id=stranger, job_id=single.id, clock=lambda: AT) is None
    # Nor does one that would have a tenant's job run across tenants.
    assert jobs.claim(tenant_id=None, job_id=single.id, clock=lambda: AT) is None
    assert states_now(single) == {"run": "queued"}


def test_step_whose_workers_die_again_and_again_fails(single):
    for attempt in (1, 2, 3):
        assert claimed(single, at=later(100 * attempt)).attempt == attempt

    assert claim(single, at=later(400)) is None

    job, step = job_now(single), steps_now(single)["run"]
    assert (job.state, job.error_code, job.finished_at) == (State.FAILED, "worker_lost", later(400))
    assert (step.state, step.error_code, step.lease_until, step.attempts) == (State.FAILED, "worker_lost", None, 3)


# Progress and the lease


def test_report_shows_progress_and_renews_the_lease(single):
    now = [AT]
    found = jobs.claim(tenant_id=single.tenant_id, job_id=single.id, clock=lambda: now[0])
    now[0] = later(50)

    found.progress.report(3, 10, note="x" * 300)

    job = job_now(single)
    assert (job.progress_done, job.progress_total, job.progress_note) == (3, 10, "x" * 200)
    assert claim(single, at=later(110)) is None
    assert claimed(single, at=later(111)).attempt == 2


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (lambda job: claimed(job, at=later(61)), LeaseLost),
        (lambda job: cancel(job.id, job.tenant_id), JobStopped),
        (lambda job: (cancel(job.id, job.tenant_id), retry(job)), LeaseLost),
        (lambda job: succeed(claimed(job, at=later(61))), JobStopped),
    ],
    ids=["taken by another", "cancelled", "cancelled and tried again", "done by another"],
)
def test_worker_that_was_taken_for_dead_writes_nothing(single, event, error):
    zombie = claimed(single)
    event(single)
    before = (job_now(single).state, states_now(single))

    def write_and_report():
        jobs.enqueue(kind=ELSEWHERE, at=AT)
        zombie.progress.report(1)

    with pytest.raises(error), tenant(single.tenant_id):
        write_and_report()
    for end in (succeed, fail, retry_later):
        with pytest.raises(LeaseLost):
            end(zombie)

    assert (job_now(single).state, states_now(single)) == before
    with tenant(single.tenant_id):
        assert not Job.objects.filter(kind=ELSEWHERE.name).exists()


def test_attempt_that_takes_too_long_is_stopped_at_its_next_report(single):
    now = [AT]
    found = jobs.claim(tenant_id=single.tenant_id, job_id=single.id, clock=lambda: now[0])
    for now[0] in (later(60), later(120), later(180), later(240), later(300)):
        found.progress.report(1)
    now[0] = later(300.001)

    with pytest.raises(TimeLimitExceeded):
        found.progress.report(2)

    assert job_now(single).progress_done == 1


# Retries


def test_retries_wait_ever_longer_and_end(single):
    at, waits = AT, []
    while (found := claimed(single, at=at)).may_retry:
        retry_later(found, at=at)
        step = steps_now(single)["run"]
        assert (step.state, step.error_code, step.error_detail) == (State.QUEUED, "flaky", "It may work next time.")
        assert job_now(single).state == State.RUNNING
        waits.append((step.run_after - at).total_seconds())
        at = step.run_after

    assert waits == [5, 10]
    assert found.attempt == 3
    succeed(found, at=at)
    step = steps_now(single)["run"]
    assert (step.state, step.error_code, step.error_detail) == (State.SUCCEEDED, "", "")


def test_lost_attempts_and_failed_ones_count_together(single):
    retry_later(claimed(single))
    lost = claimed(single, at=later(5))

    found = claimed(single, at=later(100))

    assert (lost.may_retry, found.retries, found.may_retry) == (True, 2, False)


def test_failed_job_is_tried_again_with_all_its_retries(single):
    retry_later(claimed(single))
    fail(claimed(single, at=later(5)), at=later(6))
    job = job_now(single)
    assert (job.state, job.error_code, job.error_detail, job.finished_at) == ("failed", "broken", "It broke.", later(6))

    retry(single, at=later(7))

    job = job_now(single)
    assert (job.state, job.error_code, job.finished_at) == (State.QUEUED, "", None)
    found = claimed(single, at=later(7))
    assert (found.attempt, found.retries) == (3, 0)


@pytest.mark.parametrize("prepare", [lambda job: None, claimed, lambda job: succeed(claimed(job))])
def test_only_a_failed_or_cancelled_job_is_tried_again(single, prepare):
    prepare(single)

    with pytest.raises(JobNotFailed):
        retry(single)


def test_failed_job_is_not_tried_again_beside_a_newer_one(owner, single):
    fail(claimed(single))
    with tenant(owner):
        jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT)
    take_messages()

    with pytest.raises(JobAlreadyOpen):
        retry(single)

    assert (job_now(single).state, take_messages()) == (State.FAILED, [])


@pytest.mark.parametrize("operation", [jobs.cancel_job, jobs.retry_job])
def test_another_tenants_job_does_not_exist(single, operation):
    stranger = make_tenant().id

    with pytest.raises(Job.DoesNotExist), tenant(stranger):
        operation(job_id=single.id, at=AT)


# Cancel


def test_queued_job_is_cancelled(single):
    cancel(single.id, single.tenant_id, at=later(1))

    job, step = job_now(single), steps_now(single)["run"]
    assert (job.state, job.finished_at) == (State.CANCELLED, later(1))
    assert (step.state, step.finished_at) == (State.CANCELLED, later(1))
    with pytest.raises(JobNotOpen):
        cancel(single.id, single.tenant_id)


def test_cancelled_job_is_tried_again(single):
    claimed(single)
    cancel(single.id, single.tenant_id)

    retry(single)

    assert states_now(single) == {"run": "queued"}
    assert claimed(single).attempt == 2

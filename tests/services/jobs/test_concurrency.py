"""Jobs moved from several connections at once: real threads, real locks."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from services.core.models import Portfolio
from services.jobs import operations as jobs
from services.jobs.models import Job, State
from services.jobs.operations import JobNotOpen, JobStopped, LeaseLost
from tenants.isolation import tenant
from tests.factories import AT, make_portfolio
from tests.services.jobs.kinds import (
    DIAMOND,
    SINGLE,
    SUBJECT,
    claim,
    claimed,
    fail,
    job_now,
    later,
    states_now,
    steps_now,
    succeed,
    take_messages,
)

DEADLINE_S = 20
ROUNDS = 8


def at_once(*functions):
    """Run the functions in threads that start together; return what each returned or raised."""
    barrier = threading.Barrier(len(functions))

    def run(function):
        barrier.wait(DEADLINE_S)
        try:
            return function()
        except (LeaseLost, JobStopped, JobNotOpen) as refusal:
            return type(refusal)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [each.result(DEADLINE_S) for each in [pool.submit(run, function) for function in functions]]


def wait_until_one_waits_for_a_lock(admin):
    until = time.monotonic() + DEADLINE_S
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while admin.execute(waiting).fetchone()[0] != 1:
        assert time.monotonic() < until, "nobody waits for a lock"


def enqueue(owner, kind=SINGLE):
    with tenant(owner):
        return jobs.enqueue(kind=kind, subject_id=SUBJECT, at=AT)


def test_many_who_ask_at_once_get_one_job(owner):
    found = at_once(*[lambda: enqueue(owner)] * 6)

    assert len({job.id for job in found}) == 1
    assert len(take_messages()) == 1


def test_many_who_claim_at_once_get_one_claim(owner):
    for _ in range(ROUNDS):
        job = enqueue(owner)

        found = [each for each in at_once(*[lambda job=job: claim(job)] * 4) if each]

        assert [each.attempt for each in found] == [1]
        succeed(found[0])


def test_queued_job_does_not_start_before_whoever_asked_for_it_has_committed(owner, admin):
    """Otherwise it would run without seeing what they wrote, and nothing would make it run again."""
    job = enqueue(owner)
    with ThreadPoolExecutor(1) as pool:
        with tenant(owner):
            make_portfolio(name="Written just before")
            assert jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT).id == job.id
            starting = pool.submit(lambda: at_once(lambda: (claim(job), names(owner))))
            wait_until_one_waits_for_a_lock(admin)
            assert not starting.done()
        [(found, seen)] = starting.result(DEADLINE_S)

    assert (found.attempt, seen) == (1, ["Written just before"])
    assert job_now(job).run_again is False


def names(owner):
    with tenant(owner):
        return list(Portfolio.objects.values_list("name", flat=True))


def test_asking_while_the_job_ends_is_never_lost(owner):
    """Either the running one is asked to run once more, or it has ended and there is a new one."""
    for _ in range(ROUNDS):
        job = enqueue(owner)
        running = claimed(job)

        asked, _ = at_once(lambda: enqueue(owner), lambda running=running: succeed(running))

        assert job_now(asked).state == State.QUEUED
        succeed(claimed(asked))
        with tenant(owner):
            assert not Job.objects.filter(state__in=[State.QUEUED, State.RUNNING]).exists()


def test_last_finisher_is_found_once_when_both_finish_at_once(owner):
    for _ in range(ROUNDS):
        job = enqueue(owner, DIAMOND)
        succeed(claimed(job))
        left, right = claimed(job), claimed(job)
        take_messages()

        at_once(lambda left=left: succeed(left), lambda right=right: succeed(right))

        assert states_now(job)["last"] == "queued"
        assert len(take_messages()) == 1
        last = claimed(job)
        assert (last.step, last.attempt, claim(job)) == ("last", 1, None)
        succeed(last)
        assert job_now(job).state == State.SUCCEEDED


def test_cancelling_while_steps_finish_neither_deadlocks_nor_leaves_a_step_open(owner):
    for _ in range(ROUNDS):
        job = enqueue(owner, DIAMOND)
        succeed(claimed(job))
        left, right = claimed(job), claimed(job)

        def cancel(job=job):
            with tenant(owner):
                jobs.cancel_job(job_id=job.id, at=AT)

        at_once(
            lambda left=left: succeed(left),
            lambda right=right: right.progress.report(1),
            cancel,
            lambda job=job: claim(job),
        )

        assert job_now(job).state == State.CANCELLED
        assert set(states_now(job).values()) <= {"succeeded", "cancelled"}


def test_two_branches_that_fail_at_once_fail_the_job_once(owner):
    job = enqueue(owner, DIAMOND)
    succeed(claimed(job))
    left, right = claimed(job), claimed(job)

    ended = at_once(lambda: fail(left, code="left"), lambda: fail(right, code="right"))

    assert sorted(map(str, ended)) == sorted([str(LeaseLost), "None"])
    failed = [name for name, state in states_now(job).items() if state == "failed"]
    assert [job_now(job).error_code] == failed


def test_steps_side_by_side_do_not_wait_for_each_others_progress(owner):
    """Each reports in the transaction that writes its rows; that of one must not hold up the other."""
    job = enqueue(owner, DIAMOND)
    succeed(claimed(job))
    left, right = claimed(job), claimed(job)

    def report_right():
        right.progress.report(5, 9)
        succeed_waits.set()

    succeed_waits = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with tenant(owner):
            left.progress.report(3, 9)
            reporting = pool.submit(lambda: at_once(report_right))
            assert succeed_waits.wait(DEADLINE_S)
        reporting.result(DEADLINE_S)

    assert job_now(job).progress_done == 3  # the other's was not shown: the row was taken


def test_message_about_a_running_step_waits_for_nothing(owner):
    job = enqueue(owner)
    running = claimed(job)
    with ThreadPoolExecutor(1) as pool, tenant(owner):
        running.progress.report(1)  # holds its rows until the end of the block
        assert pool.submit(lambda: at_once(lambda: claim(job))).result(DEADLINE_S) == [None]


def test_worker_taken_for_dead_in_the_middle_of_a_transaction_may_finish_it(owner, admin):
    """Either it commits, with its lease renewed, or the step is another's; never both."""
    job = enqueue(owner)
    now = [AT]
    slow = jobs.claim(tenant_id=owner, job_id=job.id, clock=lambda: now[0])
    now[0] = later(61)
    with ThreadPoolExecutor(1) as pool:
        with tenant(owner):
            make_portfolio(name="The slow one's")
            slow.progress.report(1)
            claiming = pool.submit(lambda: at_once(lambda: claim(job, at=later(61))))
            wait_until_one_waits_for_a_lock(admin)
        assert claiming.result(DEADLINE_S) == [None]
    second = claimed(job, at=later(200))

    assert second.attempt == 2
    with pytest.raises(LeaseLost):
        succeed(slow)
    assert names(owner) == ["The slow one's"]


def test_sweep_from_two_places_sends_once(owner):
    for _ in range(ROUNDS):
        job = enqueue(owner)
        take_messages()

        sent = at_once(*[lambda: jobs.sweep(at=later(20), resend_after_s=10)] * 2)

        assert sorted(sent) == [0, 1]
        assert len(take_messages()) == 1
        succeed(claimed(job))
        assert steps_now(job)["run"].attempts == 1

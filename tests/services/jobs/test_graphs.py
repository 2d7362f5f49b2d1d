"""How the steps of a job follow each other."""

import pytest

from services.jobs import operations as jobs
from services.jobs.models import JobStep, State
from services.jobs.operations import (
    JobStopped,
    LeaseLost,
)
from tenants.isolation import tenant
from tests.factories import AT
from tests.services.jobs.kinds import (
    DIAMOND,
    SUBJECT,
    cancel,
    claim,
    claimed,
    fail,
    job_now,
    later,
    retry,
    states_now,
    steps_now,
    succeed,
    take_messages,
)


def test_steps_run_in_their_order(diamond):
    assert states_now(diamond) == {"first": "queued", "left": "blocked", "right": "blocked", "last": "blocked"}
    first = claimed(diamond)
    assert (first.step, claim(diamond)) == ("first", None)
    take_messages()

    succeed(first, at=later(1), rows=3)

    assert steps_now(diamond)["first"].output == {"rows": 3}
    assert states_now(diamond) == {"first": "succeeded", "left": "queued", "right": "queued", "last": "blocked"}
    assert len(take_messages()) == 2
    left, right = claimed(diamond, at=later(1)), claimed(diamond, at=later(1))
    assert [left.step, right.step, claim(diamond, at=later(1))] == ["left", "right", None]
    succeed(right, at=later(2))
    assert states_now(diamond)["last"] == "blocked"
    assert take_messages() == []
    succeed(left, at=later(3))
    assert len(take_messages()) == 1
    last = claimed(diamond, at=later(3))
    assert (last.step, job_now(diamond).state) == ("last", State.RUNNING)
    succeed(last, at=later(4))
    job = job_now(diamond)
    assert (job.state, job.started_at, job.finished_at) == (State.SUCCEEDED, AT, later(4))
    assert set(states_now(diamond).values()) == {"succeeded"}


def test_failed_branch_ends_the_job_and_stops_the_other(diamond):
    succeed(claimed(diamond))
    left, right = claimed(diamond), claimed(diamond)

    fail(left)

    assert job_now(diamond).state == State.FAILED
    assert states_now(diamond) == {
        "first": "succeeded",
        "left": "failed",
        "right": "cancelled",
        "last": "blocked",
    }
    with pytest.raises(JobStopped):
        right.progress.report(1)
    with pytest.raises(LeaseLost):
        succeed(right)
    assert claim(diamond, at=later(1000)) is None


def test_failed_job_is_tried_again_from_the_step_that_failed(diamond):
    succeed(claimed(diamond))
    succeed(claimed(diamond))  # left
    fail(claimed(diamond))  # right
    take_messages()

    retry(diamond)

    assert states_now(diamond) == {"first": "succeeded", "left": "succeeded", "right": "queued", "last": "blocked"}
    assert len(take_messages()) == 1
    succeed(claimed(diamond))
    succeed(claimed(diamond))
    assert job_now(diamond).state == State.SUCCEEDED
    assert {name: step.attempts for name, step in steps_now(diamond).items()} == {
        "first": 1,
        "left": 1,
        "right": 2,
        "last": 1,
    }


def test_job_cancelled_before_it_began_is_tried_again_from_the_beginning(diamond):
    cancel(diamond.id, diamond.tenant_id)

    retry(diamond)

    assert states_now(diamond) == {"first": "queued", "left": "blocked", "right": "blocked", "last": "blocked"}


def test_graph_asked_for_while_it_runs_runs_all_its_steps_once_more(owner, diamond):
    succeed(claimed(diamond))
    with tenant(owner):
        jobs.enqueue(kind=DIAMOND, subject_id=SUBJECT, at=AT)
    succeed(claimed(diamond))
    succeed(claimed(diamond))

    succeed(claimed(diamond))

    assert states_now(diamond) == {"first": "queued", "left": "blocked", "right": "blocked", "last": "blocked"}


def test_graph_asked_for_while_it_waits_to_go_on_runs_all_its_steps_once_more(owner, diamond):
    """Tried again it waits as a new one does, but what has succeeded won't be done again in this run."""
    succeed(claimed(diamond))
    cancel(diamond.id, diamond.tenant_id)
    retry(diamond)

    with tenant(owner):
        jobs.enqueue(kind=DIAMOND, subject_id=SUBJECT, at=AT)
    for _ in ("left", "right", "last"):
        succeed(claimed(diamond))

    assert states_now(diamond) == {"first": "queued", "left": "blocked", "right": "blocked", "last": "blocked"}


def test_job_of_an_earlier_release_ends_without_the_steps_that_it_never_had(diamond):
    with tenant(diamond.tenant_id):
        JobStep.objects.filter(job_id=diamond.id, name__in=["right", "last"]).delete()

    succeed(claimed(diamond))
    succeed(claimed(diamond))

    assert job_now(diamond).state == State.SUCCEEDED

"""Guard: every kind of job leaves the same rows however often it is delivered and wherever its process is killed.

By every transport: memory's messages die with their process, SQS shows one again whose worker was killed, and so does
Lambda with an invocation. A kind is found by being declared in a service's jobs.py, and needs a scenario in
scenarios.py. What is done to each is in trials.py, what must then be the same in fingerprint.py.
"""

from collections.abc import Callable

import pytest

from services.jobs import operations as jobs
from services.jobs.jobs import JobKind, Queue
from tenants.isolation import tenant
from tests.contracts.bank import Bank
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value
from tests.job_guard.scenarios import KINDS, Work, declared_kinds, scenario_of
from tests.job_guard.trials import clean_run, deliver_twice, deliver_twice_at_once, kill_everywhere
from tests.workers import planted
from tests.workers.transports import Memory, Transport
from workers.runner import OPERATIONS

TRANSPORTS = ("memory", "sqs", "lambda")
QUICK_POINTS = {"memory": 4, "sqs": 2, "lambda": 2}


def on_transports(*, engine: bool) -> pytest.MarkDecorator:
    """Return what gives a test each kind on each transport.

    Without `engine`, the kinds that may start it come on memory alone: encoding costs what ten other runs do.
    """
    pairs = [
        (name, transport)
        for name in KINDS
        for transport in TRANSPORTS
        if engine or transport == "memory" or not is_of_media(name)
    ]
    return pytest.mark.parametrize(("name", "transport"), pairs, indirect=["transport"])


def is_of_media(name: str) -> bool:
    return JobKind.named(name).queue is Queue.MEDIA


@on_transports(engine=False)
def test_job_delivered_twice_leaves_the_same_rows(name, bank, transport, admin):
    scenario = scenario_of(name)
    expected = clean_run(scenario, bank, transport, admin)

    assert deliver_twice(scenario, bank, transport, admin) == expected
    assert deliver_twice_at_once(scenario, bank, transport, admin) == expected


@on_transports(engine=True)
def test_job_killed_anywhere_leaves_the_same_rows(name, bank, transport, admin, forker):
    most = 1 if is_of_media(name) and transport.name != "memory" else QUICK_POINTS[transport.name]

    points = kill_everywhere(scenario_of(name), bank, transport, admin, forker, most=most)

    assert {"before commit", "after commit"} <= set(points)


@pytest.mark.long
@on_transports(engine=True)
def test_job_killed_at_every_point_leaves_the_same_rows(name, bank, transport, admin, forker):
    kill_everywhere(scenario_of(name), bank, transport, admin, forker)


def test_kind_without_a_scenario_is_told_what_to_add():
    with pytest.raises(pytest.fail.Exception, match=r"'nobody\.knows' has no scenario: add a function"):
        scenario_of("nobody.knows")


def test_every_kind_has_an_operation_for_each_step():
    declared = {(kind.name, step.name) for kind in declared_kinds() for step in kind.steps}

    assert declared == {key for key in OPERATIONS if not key[0].startswith("test.")}


# The guard guarded: a job with a fault must be found out.


def queued(kind: JobKind) -> Callable[[Bank], Work]:
    def scenario(_: Bank) -> Work:
        owner = make_tenant()
        with tenant(owner.id):
            for name in ("Boat", "Family"):
                set_value(make_asset(make_portfolio(name=name), name=name), "1.00")
            job = jobs.enqueue(kind=kind, at=AT)
        return Work(job.id, kind, owner.id)

    return scenario


@pytest.fixture
def memory() -> Transport:
    return Memory()


def test_guard_finds_a_job_that_is_not_repeatable(bank, memory, admin, forker):
    with pytest.raises(AssertionError, match="killed at point"):
        kill_everywhere(queued(planted.ADDS_EACH_TIME), bank, memory, admin, forker)


def test_guard_finds_rows_that_hang_together_wrongly(bank, memory, admin, forker):
    with pytest.raises(AssertionError, match="killed at point"):
        kill_everywhere(queued(planted.LINKS_DIFFERENTLY), bank, memory, admin, forker)


def test_guard_finds_nothing_in_a_repeatable_job(bank, memory, admin, forker):
    points = kill_everywhere(queued(planted.ADDS_ONCE), bank, memory, admin, forker)

    assert points == ["before commit", "after commit"] * 3  # the claim, the work, the end

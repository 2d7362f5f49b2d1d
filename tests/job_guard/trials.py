"""What is done to every kind of job: it is delivered twice, and its process is killed."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings as django_settings
from django.db import connections

from services.jobs import operations as jobs
from services.jobs.models import Job, State
from tenants.isolation import tenant_or_operator
from tests.contracts.bank import Bank
from tests.job_guard.fingerprint import fingerprint
from tests.job_guard.scenarios import Work
from tests.workers.forker import NEVER, Forker
from tests.workers.transports import Message, Transport, present, run

DEADLINE_S = 30


def deliver(work: Work, transport: Transport, *, later: dt.timedelta = dt.timedelta(0)) -> list[Message]:
    """Run the messages about the job, and those that these send, until there are none; return them all."""
    ran = []
    while messages := transport.take(work.job_id):
        for message in messages:
            run_here(work, transport, message, later=later)
            transport.done(message)
        ran += messages
    return ran


def run_here(work: Work, transport: Transport, message: Message, *, later: dt.timedelta = dt.timedelta(0)) -> None:
    with present(work.at + later):
        assert run(transport.name, message)


def finish(work: Work, transport: Transport) -> None:
    """Run the job to its end, as the sweep would: past the lease of whoever had it."""
    later = dt.timedelta(seconds=work.kind.lease_s + 60)
    until = time.monotonic() + DEADLINE_S
    while state_of(work) in {State.QUEUED, State.RUNNING}:
        assert time.monotonic() < until, f"{work.kind.name} never ends"
        jobs.sweep(at=work.at + later, resend_after_s=0)
        deliver(work, transport, later=later)  # nothing, until the database notices that the killed one is gone
        later *= 2  # after which a message that was of no use is sent again


def state_of(work: Work) -> State:
    with tenant_or_operator(work.tenant_id):
        return State(Job.objects.get(id=work.job_id).state)


def clean_run(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    """Return what one delivery leaves."""
    work = scenario(bank)
    deliver(work, transport)
    assert state_of(work) == State.SUCCEEDED
    return fingerprint(work, admin)


def deliver_twice(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    work = scenario(bank)
    for message in deliver(work, transport):
        run_here(work, transport, message)
    return fingerprint(work, admin)


def deliver_twice_at_once(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    work, barrier = scenario(bank), threading.Barrier(2)
    [message] = transport.take(work.job_id)

    def run_one(_: int) -> None:
        barrier.wait()
        try:
            assert run(transport.name, message)
        finally:
            connections.close_all()

    with present(work.at), ThreadPoolExecutor(2) as pool:
        list(pool.map(run_one, range(2)))
    transport.done(message)
    deliver(work, transport)
    finish(work, transport)
    return fingerprint(work, admin)


def child_settings() -> dict[str, Any]:
    return {
        "PLAID_URL": django_settings.PLAID_URL,
        "PLAID_CLIENT_ID": django_settings.PLAID_CLIENT_ID,
        "PLAID_SECRET": django_settings.PLAID_SECRET.get_secret_value(),
        "RATES_URL": django_settings.RATES_URL,
        "MAILERS": django_settings.MAILERS,
        "ENVIRONMENT": django_settings.ENVIRONMENT,
        "QUEUE_BROKERS": django_settings.QUEUE_BROKERS,
        "MEDIA_FOLDER": str(django_settings.MEDIA_FOLDER),
        "MEDIA_WORKER_START_SECONDS": django_settings.MEDIA_WORKER_START_SECONDS,
    }


def kill_everywhere(
    scenario: Callable[[Bank], Work],
    bank: Bank,
    transport: Transport,
    admin,
    forker: Forker,
    *,
    most: int | None = None,
) -> list[str]:
    """Kill the job's process at each point (at `most` of them, evenly chosen), and finish it; return the points.

    Raises:
        AssertionError: the rows differ from those of a clean run.
    """
    expected = clean_run(scenario, bank, transport, admin)
    unharmed = scenario(bank)
    points = run_in_forks(unharmed, transport, forker)
    assert fingerprint(unharmed, admin) == expected
    for index in chosen(len(points), most):
        work = scenario(bank)
        passed = run_in_forks(work, transport, forker, kill_at=index)
        assert len(passed) == index + 1
        finish(work, transport)
        assert fingerprint(work, admin) == expected, f"killed at point {index}, {points[index]}"
    return points


def run_in_forks(work: Work, transport: Transport, forker: Forker, *, kill_at: int | None = None) -> list[str]:
    """Run the messages about the job, each in a process of its own, until none comes or one is killed."""
    points: list[str] = []
    while messages := transport.take(work.job_id):
        for number, message in enumerate(messages):
            passed, ended_well = forker.run(
                transport=transport.name,
                message=message,
                job_id=work.job_id,
                at=work.at.isoformat(),
                settings=child_settings(),
                kill_at=NEVER if kill_at is None else kill_at - len(points),
            )
            points += passed
            if ended_well:
                transport.done(message)
                continue
            for each in messages[number:]:
                transport.show_again(each)
            return points
    return points


def chosen(count: int, most: int | None) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly: with the first and the last, or the middle one."""
    if most is None or count <= most:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return sorted({round(each * (count - 1) / (most - 1)) for each in range(most)})

"""The worker and the scheduler in this process: a laptop's alternative to Lambda."""

import datetime as dt
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connections

from fatfire.kit import clock
from services.core.models import Portfolio
from services.history.jobs import ROLL_UP_DUE
from services.jobs import operations as jobs
from services.jobs.jobs import Backoff, JobKind
from services.jobs.models import Job, JobStep, State
from tenants.isolation import operator, tenant
from tests.factories import make_portfolio, make_tenant
from workers.embedded import worker_and_scheduler
from workers.runner import task
from workers.schedule import SWEEP, Entry

QUICK = JobKind("test.embedded_quick")
HELD = JobKind("test.embedded_held", retry=Backoff(first_s=1, times=3))
REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 30

entered, released = threading.Event(), threading.Event()


@task(QUICK)
def be_quick(job):
    return {"thread": threading.current_thread().name}


@task(HELD)
def be_held(job):
    """Wait inside a transaction, so that what happens to its connection happens in the middle."""
    with tenant(job.tenant):
        make_portfolio(name=f"Attempt {job.attempt}")
        entered.set()
        assert released.wait(DEADLINE_S)
        Portfolio.objects.count()


@pytest.fixture
def owner(database, monkeypatch):
    """A tenant's id; nothing but the sweep is scheduled, so that the test is left in peace."""
    entered.clear()
    released.clear()
    monkeypatch.setattr("workers.embedded.SCHEDULE", (SWEEP,))
    owner = make_tenant().id
    connections.close_all()
    return owner


def enqueue(owner, kind=QUICK):
    with tenant(owner):
        return jobs.enqueue(kind=kind, at=clock.now()).id


def wait_for(owner, job_id, state=State.SUCCEEDED):
    """Wait until the job is in the state; return for how many seconds."""
    began = time.monotonic()
    while True:
        with tenant(owner):
            job = Job.objects.get(id=job_id)
        waited = time.monotonic() - began
        if job.state == state:
            return waited
        assert waited < DEADLINE_S, f"the job is {job.state} {job.error_code}"
        time.sleep(0.005)


def test_job_is_run_by_a_worker_at_once(owner):
    with worker_and_scheduler():
        wait_for(owner, enqueue(owner))  # the worker has started
        second = enqueue(owner)
        waited = wait_for(owner, second)

    assert waited < 2  # a message brought it: the sweep sends for nothing that was sent within ten seconds
    with tenant(owner):
        assert JobStep.objects.get(job_id=second).output["thread"] != threading.current_thread().name


def test_nothing_is_left_running(owner):
    before = set(threading.enumerate())
    with worker_and_scheduler():
        wait_for(owner, enqueue(owner))
    assert set(threading.enumerate()) == before

    late = enqueue(owner)
    with tenant(owner):
        assert Job.objects.get(id=late).state == State.QUEUED


def test_it_can_stop_before_it_has_started(owner):
    before = set(threading.enumerate())

    with worker_and_scheduler():
        pass

    assert set(threading.enumerate()) == before


def test_stopping_lets_a_running_job_end(owner):
    job_id = enqueue(owner, HELD)
    with worker_and_scheduler():
        assert entered.wait(DEADLINE_S)
        threading.Timer(0.2, released.set).start()

    with tenant(owner):
        assert Job.objects.get(id=job_id).state == State.SUCCEEDED


def test_what_waited_before_the_start_is_run(owner):
    """Its message was in the memory of a process that is gone."""
    waiting = job_of_another_process(owner)

    with worker_and_scheduler():
        wait_for(owner, waiting)


def job_of_another_process(owner):
    code = f"""
import uuid, django
django.setup()
from fatfire.kit import clock
from services.jobs import operations as jobs
from tenants.isolation import tenant
from tests.workers.test_embedded import QUICK
with tenant(uuid.UUID({str(owner)!r})):
    print(jobs.enqueue(kind=QUICK, at=clock.now()).id)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "fatfire.settings", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    return ran.stdout.strip()


def test_what_a_killed_worker_was_at_is_taken_up_at_once(owner):
    job_id = enqueue(owner)
    assert jobs.claim(tenant_id=owner, job_id=job_id, clock=clock.now) is not None  # and never seen again
    connections.close_all()

    with worker_and_scheduler():
        assert wait_for(owner, job_id) < QUICK.lease_s / 6
    with tenant(owner):
        assert JobStep.objects.get(job_id=job_id).attempts == 2


def test_schedule_is_fired_at_the_start(owner, monkeypatch):
    monkeypatch.setattr("workers.embedded.SCHEDULE", (SWEEP, Entry(dt.timedelta(minutes=15), ROLL_UP_DUE)))

    with worker_and_scheduler():
        deadline = time.monotonic() + DEADLINE_S
        while not succeeded(ROLL_UP_DUE):
            assert time.monotonic() < deadline
        connections.close_all()


def succeeded(kind):
    with operator():
        return Job.objects.filter(kind=kind.name, state=State.SUCCEEDED).exists()


def test_what_another_process_writes_is_picked_up(owner, settings):
    settings.JOBS_RESEND_AFTER_SECONDS = 1  # else the sweep trusts for ten seconds that a message is on its way
    with worker_and_scheduler():
        wait_for(owner, enqueue(owner))
        wait_for(owner, job_of_another_process(owner))


def test_it_goes_on_after_the_database_threw_everybody_out(owner, admin):
    """In the middle of a job's transaction, and under the scheduler: as when a database restarts."""
    with worker_and_scheduler():
        held = enqueue(owner, HELD)
        assert entered.wait(DEADLINE_S)
        connections.close_all()
        thrown_out = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename IN ('app_tenant', 'app_operator')"
        ).fetchone()[0]
        released.set()
        wait_for(owner, held)
        wait_for(owner, enqueue(owner))

    assert thrown_out >= 1
    with tenant(owner):
        assert [portfolio.name for portfolio in Portfolio.objects.all()] == ["Attempt 2"]
        assert JobStep.objects.get(job_id=held).attempts == 2

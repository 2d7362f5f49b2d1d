"""A tenant's pages are told of its jobs: at each step's start and end, and of progress now and then."""

import json

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError
from websockets.sync.client import connect

from fatfire.kit import aws, clock
from fatfire.kit.sockets import SocketServer
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from services.jobs.models import JobStep, State
from services.messaging.operations import issue_ticket
from tenants.isolation import operator, tenant
from tests.factories import make_tenant, owner_id
from workers import nudges
from workers.lambda_handler import lambda_handler
from workers.runner import advance, task
from workers.websocket import receive

REPORTING = JobKind("test.reporting")
FAILING = JobKind("test.failing")
SUCCEEDING = JobKind("test.succeeding")


@task(REPORTING)
def report(job):
    """Report three times, in two transactions."""
    with tenant(job.tenant):
        job.progress.report(1, 3)
        job.progress.report(2, 3)
    with tenant(job.tenant):
        job.progress.report(3, 3)


@task(FAILING)
def fail(job):
    raise ZeroDivisionError


@task(SUCCEEDING)
def succeed(_):
    pass


@pytest.fixture
def home(database):
    return make_tenant()


@pytest.fixture
def sockets(settings, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "nobody")
    with SocketServer(receive) as running:
        settings.WEBSOCKET_URL, settings.WEBSOCKET_ENDPOINT = running.url, running.endpoint
        yield running
    aws.forget()


def listen(sockets, home):
    at = clock.now()
    with operator():
        Session.objects.get_or_create(
            session_key="s", defaults={"session_data": "", "expire_date": at.replace(year=9000)}
        )
    with tenant(home.id):
        ticket = issue_ticket(user_id=owner_id(home), session_id="s", at=at)
    return connect(f"{sockets.url}?ticket={ticket}")


def run(home, kind):
    with tenant(home.id):
        job = jobs.enqueue(kind=kind, at=clock.now())
    assert advance(job_id=job.id, tenant_id=home.id)
    return {"job": str(job.id)}


def told(client):
    """Return all that was said, in order: what was said before it is there before the answer to our ping."""
    client.ping().wait(20)
    said = []
    while True:
        try:
            said.append(json.loads(client.recv(timeout=0.05)))
        except TimeoutError:
            return said


@pytest.mark.parametrize(("every_s", "times"), [(0, 5), (1000, 2)], ids=["each report", "reports are too close"])
def test_start_reports_and_end_are_told(home, sockets, monkeypatch, every_s, times):
    monkeypatch.setattr(nudges, "EVERY_S", every_s)
    with listen(sockets, home) as client:
        assert told(client) == []

        assert [run(home, REPORTING)] * times == told(client)


def test_failure_is_told(home, sockets):
    with listen(sockets, home) as client:
        assert [run(home, FAILING)] * 2 == told(client)


def test_cancelling_and_trying_again_are_told(home, queues, sockets):
    with tenant(home.id):
        job = jobs.enqueue(kind=SUCCEEDING, at=clock.now())
    queues.delete(*queues.take())  # a worker is about to begin
    with listen(sockets, home) as client:
        with tenant(home.id):
            jobs.cancel_job(job_id=job.id, at=clock.now())
        assert queues.pass_on(lambda_handler) == []
        assert told(client) == [{"job": str(job.id)}]

        with tenant(home.id):
            jobs.retry_job(job_id=job.id, at=clock.now())
        assert queues.pass_on(lambda_handler) == []
        assert told(client) == [{"job": str(job.id)}] * 2  # it begins, it ends


def test_other_tenants_hear_nothing(home, sockets):
    with listen(sockets, make_tenant()) as client:
        run(home, REPORTING)

        assert told(client) == []


def test_forged_ticket_opens_nothing(home, sockets):
    with pytest.raises(Exception, match="HTTP 403"):
        connect(f"{sockets.url}?ticket={home.id.hex}.x")


def test_job_is_done_though_nobody_can_be_told(home, sockets):
    with listen(sockets, home):
        sockets._saying.close()

        run(home, REPORTING)


def test_step_of_which_the_database_cannot_tell_is_tried_again(home, monkeypatch):
    def interrupted(**_):
        raise OperationalError

    with monkeypatch.context() as broken:
        broken.setattr(nudges, "nudge", interrupted)
        with tenant(home.id):
            job = jobs.enqueue(kind=REPORTING, at=clock.now())
        with pytest.raises(OperationalError):  # of its end, too, nobody can be told
            advance(job_id=job.id, tenant_id=home.id)

    with tenant(home.id):
        step = JobStep.objects.get()
    assert (step.state, step.error_code) == (State.QUEUED, "database_interrupted")

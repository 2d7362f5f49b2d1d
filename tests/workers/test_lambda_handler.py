"""The jobs' function: what it does with each event, by messages that really passed through SQS."""

import base64
import json
import signal
import time
from uuid import UUID

import pytest
from django.db import connection, connections
from psycopg import sql

from fatfire.kit import aws, clock
from fatfire.kit import sqs as kit_sqs
from fatfire.kit.errors import TransientError
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.cleanup.operations import request_portfolio_deletion
from services.core.models import Portfolio
from services.jobs import operations as jobs
from services.jobs.jobs import Backoff, JobKind, Queue
from services.jobs.models import Job, JobStep, State
from services.telemetry.models import Invocation
from tenants.isolation import operator, tenant
from tests.factories import make_asset, make_portfolio, make_tenant, set_value
from tests.workers.queues import Context
from workers import delivery
from workers import lambda_handler as handler
from workers.lambda_handler import UnknownEvent, lambda_handler
from workers.runner import task
from workers.schedule import SCHEDULE

KIND = JobKind("test.handler", retry=Backoff(first_s=1, times=1))
behaviour, ran = {}, []


class Flaky(TransientError):
    """It may work next time."""


@task(KIND)
def run(job):
    ran.append(job.attempt)
    return behaviour["run"](job)


@pytest.fixture
def owner(database):
    ran.clear()
    behaviour["run"] = lambda job: {"attempt": job.attempt}
    return make_tenant().id


def enqueue(owner, subject=1):
    with tenant(owner):
        return jobs.enqueue(kind=KIND, subject_id=UUID(int=subject), at=clock.now()).id


def step_of(owner, job_id):
    with tenant(owner):
        return JobStep.objects.get(job_id=job_id)


def states(owner):
    with tenant(owner):
        return list(Job.objects.order_by("created_at").values_list("state", flat=True))


def message(name="test.handler", expires=None, **kwargs):
    """Return a message's body as Celery writes it on SQS."""
    body = base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode()
    envelope = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": name,
            "id": f"of {name} {expires}",
            "retries": 0,
            "eta": None,
            "expires": expires,
        },
        "properties": {"body_encoding": "base64", "delivery_info": {}, "delivery_tag": "1"},
    }
    return base64.b64encode(json.dumps(envelope).encode()).decode()


# Messages that are as they should be.


def test_job_is_run_and_its_message_gone(queues, owner):
    job_id = enqueue(owner)

    assert queues.pass_on(lambda_handler) == []

    assert step_of(owner, job_id).output == {"attempt": 1}
    assert states(owner) == [State.SUCCEEDED]
    assert queues.count() == 0
    with tenant(owner):
        assert Invocation.objects.get(job_id=job_id).outcome == Invocation.Outcome.OK


def test_message_that_comes_twice_does_nothing_the_second_time(queues, owner):
    job_id = enqueue(owner)
    records = queues.take()

    assert lambda_handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert lambda_handler({"Records": records}, Context()) == {"batchItemFailures": []}

    assert ran == [1]
    assert step_of(owner, job_id).attempts == 1


def test_batch_reports_only_what_must_come_again(queues, owner):
    job_id, unreadable = enqueue(owner), message(job_id="no id", tenant_id=None)
    queues.put(unreadable)
    queues.put("not Celery's")
    records = queues.take()

    answer = lambda_handler({"Records": records}, Context())

    again = [each["messageId"] for each in records if each["body"] == unreadable]
    assert answer == {"batchItemFailures": [{"itemIdentifier": again[0]}]}
    assert step_of(owner, job_id).state == State.SUCCEEDED
    assert [each["body"] for each in queues.take(dead=True)] == ["not Celery's"]


def test_type_error_of_a_job_fails_it_and_nothing_is_called_twice(queues, owner):
    """Zappa would call a function that raises one again, with fewer arguments."""
    behaviour["run"] = lambda job: int(None)
    job_id = enqueue(owner)

    assert queues.pass_on(lambda_handler) == []

    assert ran == [1]
    step = step_of(owner, job_id)
    assert (step.state, step.attempts, step.error_code) == (State.FAILED, 1, "internal_error")


def test_retry_comes_by_a_delayed_message(queues, owner):
    """No sweep runs here: a minute on Lambda would be long for a second attempt after a second."""
    behaviour["run"] = flaky_once
    job_id = enqueue(owner)

    assert queues.pass_on(lambda_handler) == []
    assert step_of(owner, job_id).state == State.QUEUED
    deadline = time.monotonic() + 20
    while step_of(owner, job_id).state != State.SUCCEEDED:
        assert time.monotonic() < deadline
        queues.pass_on(lambda_handler)

    assert ran == [1, 2]
    assert queues.count() == 0


def flaky_once(job):
    if job.attempt == 1:
        raise Flaky
    return {}


def test_portfolio_is_deleted_step_by_step(queues, owner):
    """A message for each step; of the three that follow the second, each is sent once, and the last step once."""
    with tenant(owner):
        portfolio = make_portfolio()
        set_value(make_asset(portfolio), "700000.00")
        for each in Job.objects.all():
            jobs.cancel_job(job_id=each.id, at=clock.now())
        job = request_portfolio_deletion(portfolio_id=portfolio.id, at=clock.now())

    messages = []
    while waiting := queues.count(DELETE_PORTFOLIO.queue):
        messages.append(waiting)
        assert queues.pass_on(lambda_handler, DELETE_PORTFOLIO.queue) == []

    assert messages == [1, 1, 3, 1]
    with tenant(owner):
        steps = JobStep.objects.filter(job=job).order_by("position").values_list("name", "state", "attempts")
        assert list(steps) == [(step.name, State.SUCCEEDED, 1) for step in DELETE_PORTFOLIO.steps]
        assert not Portfolio.objects.exists()


def test_database_that_is_away_leaves_the_message(queues, owner, admin):
    job_id = enqueue(owner)
    limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")  # it lets nobody in but its administrator
    name = sql.Identifier(admin.info.dbname)
    connections.close_all()
    admin.execute(limit.format(name, 0))
    try:
        failed = queues.pass_on(lambda_handler)
    finally:
        admin.execute(limit.format(name, -1))

    assert len(failed) == 1
    assert ran == []
    assert queues.pass_on(lambda_handler) == []
    assert step_of(owner, job_id).state == State.SUCCEEDED


def test_sender_and_worker_ask_sqs_for_nothing_else(queues, owner):
    """What the functions' roles must allow is this: no queue is listed, made or looked into."""
    called = []
    client = aws.client("sqs")
    client.meta.events.register("before-call.sqs", lambda model, **_: called.append(model.name))

    kit_sqs.queue_url.cache_clear()

    enqueue(owner)
    sent = list(called)
    records = queues.take()
    called.clear()
    lambda_handler({"Records": records}, Context())

    assert (sent, called) == (["GetQueueUrl", "SendMessage"], [])


# Messages that nobody can run.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello", "no Celery message: neither a JSON object nor base64 of one"),
        ("{", "no Celery message: neither a JSON object nor base64 of one"),
        (base64.b64encode(b"[1]").decode(), "no Celery message: neither a JSON object nor base64 of one"),
        ("{}", "no Celery message that can be read: KeyError"),
        (json.dumps({"properties": 1, "headers": {}, "body": ""}), "no Celery message that can be read: KeyError"),
        (message("test.nobody_knows"), "unknown kind of job: 'test.nobody_knows'"),
        (message("celery.chord"), "unknown kind of job: 'celery.chord'"),
        (message(["test.handler"]), "no Celery message that can be read: TypeError"),
        (message(expires="2020-01-01T00:00:00+00:00"), "it has expired"),
        ('{"a":' * 50_000, "no Celery message: neither a JSON object nor base64 of one"),
        (message().replace("A", "B"), "no Celery message: neither a JSON object nor base64 of one"),
    ],
)
def test_poison_goes_to_the_dead_letters_with_its_reason(queues, owner, body, reason):
    queues.put(body)

    assert queues.pass_on(lambda_handler) == []

    assert queues.count() == 0
    [letter] = queues.take(dead=True)
    assert letter["body"] == body
    assert letter["messageAttributes"]["Reason"]["StringValue"] == reason


def test_what_can_not_be_run_is_set_aside_at_its_last_delivery(queues, owner):
    queues.put(message(job_id="no id", tenant_id=None))

    failed = [len(queues.pass_on(lambda_handler)) for _ in again_and_again(queues)]

    assert failed == [1, 1, 1, 1, 0]
    [letter] = queues.take(dead=True)
    assert letter["messageAttributes"]["Reason"]["StringValue"] == "not run in 5 deliveries: ValueError"


def again_and_again(queues):
    """Yield as often as a message comes."""
    deadline = time.monotonic() + 20
    while queues.count():
        assert time.monotonic() < deadline
        yield


def test_poison_that_can_not_be_set_aside_comes_again(queues, owner):
    """Its dead-letter queue is gone: it isn't acknowledged, and nothing is lost; the rest of the batch is done."""
    job_id = enqueue(owner)
    queues.put("hello")
    records = queues.take()
    for each in records:
        each["eventSourceARN"] += "-elsewhere"

    answer = lambda_handler({"Records": records}, Context())

    again = [each["messageId"] for each in records if each["body"] == "hello"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": again[0]}]}
    assert step_of(owner, job_id).state == State.SUCCEEDED


# The end of the invocation.


@pytest.fixture
def short_end(monkeypatch):
    """Let half a second be what an end takes."""
    monkeypatch.setattr(handler, "END_S", 0.6)
    monkeypatch.setattr(handler, "LEAST_S", 0.7)


def report_for_ever(job):
    while True:
        with tenant(job.tenant):
            job.progress.report(1)


def sleep_for_ever(job):
    time.sleep(60)


def query_for_ever(job):
    with tenant(job.tenant), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")


@pytest.mark.parametrize("work", [report_for_ever, sleep_for_ever, query_for_ever])
def test_job_that_can_not_end_in_time_stops_and_is_tried_again(queues, owner, short_end, work):
    behaviour["run"] = work
    job_id = enqueue(owner)
    began = time.monotonic()

    assert queues.pass_on(lambda_handler, context=Context(left_ms=900)) == []

    assert time.monotonic() - began < 0.9
    step = step_of(owner, job_id)
    assert (step.state, step.retries, step.error_code) == (State.QUEUED, 1, "out_of_time")
    behaviour["run"] = lambda job: {}
    with tenant(owner):
        JobStep.objects.filter(job_id=job_id).update(run_after=clock.now())
    lambda_handler({"celery": {"message": envelope_for(owner, job_id)}}, Context())
    assert step_of(owner, job_id).state == State.SUCCEEDED


def test_job_that_never_ends_in_time_fails_and_says_so(queues, owner, short_end):
    behaviour["run"] = report_for_ever
    job_id = enqueue(owner)
    with tenant(owner):
        JobStep.objects.filter(job_id=job_id).update(retries=KIND.retry.times)

    assert queues.pass_on(lambda_handler, context=Context(left_ms=900)) == []

    step = step_of(owner, job_id)
    assert (step.state, step.error_code) == (State.FAILED, "out_of_time")


def test_nothing_is_begun_when_little_time_is_left(queues, owner):
    job_id = enqueue(owner)

    failed = queues.pass_on(lambda_handler, context=Context(left_ms=9_000))

    assert len(failed) == 1
    assert step_of(owner, job_id).attempts == 0


def test_no_alarm_is_left_behind(queues, owner):
    enqueue(owner)
    before = signal.getsignal(signal.SIGALRM)

    queues.pass_on(lambda_handler)

    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# Other events.


def envelope_for(owner, job_id):
    """Return what an invocation's message holds."""
    body = message(job_id=str(job_id), tenant_id=str(owner))
    return json.loads(base64.b64decode(body))


def test_invocation_runs_its_job(queues, owner):
    job_id = enqueue(owner)

    assert lambda_handler({"celery": {"message": envelope_for(owner, job_id)}}, Context()) == {"done": True}

    assert step_of(owner, job_id).output == {"attempt": 1}


@pytest.mark.parametrize(
    ("envelope", "error"),
    [
        ({}, delivery.Poison),
        (json.loads(base64.b64decode(message("test.nobody_knows"))), delivery.Poison),
        (json.loads(base64.b64decode(message(job_id="no id", tenant_id=None))), delivery.NotRun),
    ],
)
def test_invocation_that_fails_raises(queues, owner, envelope, error):
    """So that Lambda tries it again, and keeps it where failed invocations are kept."""
    with pytest.raises(error):
        lambda_handler({"celery": {"queue": "default", "message": envelope}}, Context())


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.name)
def test_schedule_fired_twice_works_once(queues, owner, entry):
    event = {"schedule": entry.name}

    assert [lambda_handler(event, Context()) for _ in range(2)] == [{"fired": entry.name}] * 2

    with operator():
        queued = list(Job.objects.values_list("kind", "state"))
    assert queued == ([(entry.kind.name, State.QUEUED)] if entry.kind else [])
    assert sum(queues.count(queue) for queue in Queue) == len(queued)


def test_sweep_is_fired_like_the_rest(queues, owner):
    job_id = enqueue(owner)
    with tenant(owner):
        JobStep.objects.filter(job_id=job_id).update(sent_at=None)
    for each in queues.take():
        queues.delete(each)

    lambda_handler({"schedule": "jobs.sweep"}, Context())
    queues.pass_on(lambda_handler)

    assert step_of(owner, job_id).state == State.SUCCEEDED


def test_command_is_run_and_its_output_returned(database):
    assert lambda_handler({"manage": ["check"]}, Context())["output"].startswith("System check identified no issues")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]},
        {"Records": [{"Sns": {}}]},
        {"command": "zappa.asynchronous.route_lambda_task"},
        {"raw_command": "1"},
        {"manage": ["shell", "-c", "1"]},
        {"manage": []},
        {"httpMethod": "GET", "path": "/"},
        {"detail-type": "Scheduled Event", "resources": []},
    ],
)
def test_unknown_event_raises(database, event):
    with pytest.raises(UnknownEvent):
        lambda_handler(event, Context())


def test_unknown_entry_of_the_schedule_raises(database):
    with pytest.raises(KeyError):
        lambda_handler({"schedule": "nobody.knows"}, Context())

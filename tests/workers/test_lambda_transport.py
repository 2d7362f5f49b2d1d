"""`lambda://`: a message is one asynchronous invocation, and nothing else can be had from it."""

import subprocess
import sys
from uuid import UUID

import pytest
from kombu import Connection

from fatfire.celery import app, send
from fatfire.kit import clock
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind, Queue
from services.jobs.models import Job, JobStep, State
from tenants.isolation import tenant
from tests.factories import make_tenant
from tests.workers.invocations import recording_lambda
from tests.workers.queues import Context
from workers.lambda_handler import lambda_handler
from workers.lambda_transport import MOST_BYTES, CannotSend
from workers.runner import task

KIND = JobKind("test.invoked", queue=Queue.HISTORY)
FUNCTION = "fatfire-jobs:live"


@task(KIND)
def run(job):
    return {"subject": str(job.subject)}


@pytest.fixture
def invocations(settings):
    settings.QUEUE_BROKERS = {Queue.HISTORY.value: f"lambda://{FUNCTION}"}
    with recording_lambda() as recording:
        yield recording


def enqueue(owner, count):
    with tenant(owner):
        return [jobs.enqueue(kind=KIND, subject_id=UUID(int=each), at=clock.now()).id for each in range(count)]


def test_fan_out_is_an_invocation_each_and_each_runs_its_job(database, invocations):
    owner = make_tenant().id
    job_ids = enqueue(owner, 100)

    functions = {(function, how) for function, how, _ in invocations.asked}
    events = invocations.take()
    answers = [lambda_handler(event, Context()) for event in events]

    assert functions == {(FUNCTION, "Event")}
    assert answers == [{"done": True}] * 100
    with tenant(owner):
        assert Job.objects.filter(id__in=job_ids, state=State.SUCCEEDED).count() == 100
        assert set(JobStep.objects.values_list("output__subject", flat=True)) == {
            str(UUID(int=each)) for each in range(100)
        }


def test_other_queues_keep_their_broker(database, invocations):
    send(name="test.x", queue="default", message={})

    assert invocations.asked == []


def test_function_that_takes_nothing_loses_nothing(database, invocations, caplog):
    """The commit stands, and the sweep sends again."""
    owner = make_tenant().id
    invocations.refuse = 403
    [job_id] = enqueue(owner, 1)
    assert "AccessDenied" in caplog.text or "403" in caplog.text

    invocations.refuse = 0
    with tenant(owner):
        step = JobStep.objects.get(job_id=job_id)
    jobs.sweep(at=step.run_after.replace(year=step.run_after.year + 1), resend_after_s=10)

    assert [event["celery"]["message"]["headers"]["task"] for event in invocations.take()] == [KIND.name]


def test_delayed_message_is_left_to_the_sweep(invocations):
    send(name=KIND.name, queue="history", message={}, delay_s=5)

    assert invocations.asked == []


def sent(url=f"lambda://{FUNCTION}", **options):
    with app.connection_for_write(url) as connection:
        app.send_task("test.x", connection=connection, queue="history", declare=(), retry=False, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"countdown": 5}, "can't delay a message"),
        ({"DelaySeconds": 5}, "can't delay a message"),
        ({"kwargs": {"x": "y" * MOST_BYTES}}, f"lambda:// carries {MOST_BYTES}"),
    ],
)
def test_what_an_invocation_can_not_carry_is_refused(invocations, options, words):
    with pytest.raises(CannotSend, match=words):
        sent(**options)

    assert invocations.asked == []


@pytest.mark.parametrize("act", ["get", "qsize", "purge"])
def test_nothing_can_be_read(act):
    with Connection(f"lambda://{FUNCTION}") as connection:
        queue = app.amqp.queues["history"](connection.default_channel)
        with pytest.raises(NotImplementedError, match="lambda:// only sends"):
            getattr(queue, "queue_declare" if act == "qsize" else act)()


def test_function_must_be_named(invocations):
    with pytest.raises(ValueError, match=r"'lambda://' names no function"):
        sent("lambda://")


def test_start_of_the_web_imports_no_transport_and_no_client():
    code = """
import sys, django
django.setup()
import fatfire.celery
names = ["boto3", "botocore", "workers.lambda_transport", "workers.sqs_transport", "kombu.transport.SQS"]
print([name for name in names if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert ran.stdout == "[]\n"

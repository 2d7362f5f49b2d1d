"""What is deleted by age, and what never is."""

import datetime as dt
import uuid

import pytest
from django.contrib.sessions.models import Session
from django.db import connections

from services.accounts.models import SignInRequest, SignInToken
from services.cleanup import operations
from services.cleanup.jobs import APPLY_RETENTION
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep
from services.messaging.models import Listener
from services.telemetry.models import Invocation, RequestCount
from tenants.isolation import operator, tenant
from tenants.models import Membership, User
from tests.factories import AT, make_tenant
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance

DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(microseconds=1)
KEPT = (Invocation, Job, JobStep, RequestCount, Session, SignInRequest, SignInToken)


def make_invocation(at, **columns):
    facts = {"kind": "request", "name": "GET /", "outcome": "ok", "status": 200, "duration_ms": 1, "request_id": "x"}
    return Invocation.objects.create(started_at=at, **{**facts, **columns})


def make_count(at):
    return RequestCount.objects.create(minute=at, name="GET /", status=200, requests=1, duration_ms=1)


def make_job(ended_at, state="succeeded"):
    job = Job.objects.create(
        kind="test.x", subject_id=uuid.uuid4(), state=state, finished_at=ended_at, created_at=AT - 400 * DAY
    )
    JobStep.objects.create(job=job, name="run", position=0, state=state, run_after=AT + 400 * DAY)
    return job


def make_session(expires_at):
    return Session.objects.create(session_key=uuid.uuid4().hex, session_data="", expire_date=expires_at)


def make_listener(owner, expires_at):
    user = Membership.objects.get(tenant=owner).user
    facts = {"session_id": "s", "session_epoch": 0, "connection_id": uuid.uuid4().hex}
    return Listener.objects.create(tenant_id=owner.id, user=user, expires_at=expires_at, **facts)


def make_link(at, *, asked=True):
    asked_for = SignInRequest.objects.create(email="owner@x.example", created_at=at) if asked else None
    return SignInToken.objects.create(
        user=User.objects.get(), request=asked_for, digest=uuid.uuid4().bytes * 2, created_at=at, expires_at=at
    )


def run(at=AT):
    """Run the job until it is done; return what each of its runs deleted."""
    with operator():
        job = jobs.enqueue(kind=APPLY_RETENTION, at=at)
    outputs = []
    while advance(job_id=job.id, tenant_id=None, now=lambda: at):
        with operator():
            outputs.append(JobStep.objects.get(job=job).output)
    with operator():
        assert Job.objects.get(id=job.id).state == "succeeded"
    return outputs


def left():
    """Return how many rows there are of each, but of the retention's own job."""
    with operator():
        own = Invocation.objects.filter(name__startswith=APPLY_RETENTION.name).count()
        done = Job.objects.filter(kind=APPLY_RETENTION.name).count()
        counted = {model: model.objects.count() for model in KEPT}
    return {
        model.__name__: count - {Invocation: own, Job: done, JobStep: done}.get(model, 0)
        for model, count in counted.items()
    }


def test_what_is_old_goes_and_the_rest_stays(database):
    owner = make_tenant()
    with tenant(owner.id):
        make_invocation(AT - 90 * DAY - MOMENT)
        kept = [make_invocation(AT - 90 * DAY), make_job(AT - 90 * DAY), make_job(None, "queued")]
        make_job(AT - 90 * DAY - MOMENT)
        make_job(AT - 200 * DAY, "failed")
    with operator():
        make_invocation(AT - 91 * DAY, tenant_id=None)
        make_count(AT - 91 * DAY)
        make_session(AT - MOMENT)
        make_listener(owner, AT - MOMENT)
        make_listener(owner, AT - DAY)
        make_link(AT - DAY - MOMENT)
        make_link(AT - 2 * DAY, asked=False)
        kept += [make_count(AT - 89 * DAY), make_session(AT + MOMENT), make_link(AT - DAY), make_link(AT, asked=False)]
        kept += [make_listener(owner, AT)]

    [deleted] = run()

    assert deleted == {
        "sign_ins": 3, "listeners": 2, "sessions": 1, "request_counts": 1, "invocations": 2, "jobs": 2,
    }  # fmt: skip
    with operator():
        for row in kept:
            assert type(row).objects.filter(pk=row.pk).exists(), row
    assert left() == {
        "Invocation": 1, "Job": 2, "JobStep": 2, "RequestCount": 1, "Session": 1, "SignInRequest": 1, "SignInToken": 2,
    }  # fmt: skip
    assert run() == [dict.fromkeys(deleted, 0)]


def test_how_long_is_a_setting(database, settings):
    settings.KEEP_INVOCATIONS_DAYS, settings.KEEP_JOBS_DAYS = 7, 30
    with tenant(make_tenant().id):
        for days in (6, 8, 29, 31):
            make_invocation(AT - days * DAY)
            make_job(AT - days * DAY)

    [deleted] = run()

    assert (deleted["invocations"], deleted["jobs"]) == (3, 1)


def test_many_rows_go_in_batches_and_the_rest_in_runs_that_follow(database, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 2)
    monkeypatch.setattr(operations, "MOST_BATCHES", 7)
    with tenant(make_tenant().id):
        for number in range(9):
            make_invocation(AT - (100 + number) * DAY)
            make_job(AT - (100 + number) * DAY)

    outputs = run()

    # Four batches find nothing of the first four kinds; what is left of the six takes turns.
    assert [(each["invocations"], each["jobs"]) for each in outputs] == [(6, 0), (3, 2), (0, 4), (0, 3)]
    assert (left()["Invocation"], left()["Job"], left()["JobStep"]) == (0, 0, 0)


def test_each_batch_is_a_transaction_of_its_own(database, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 2)
    with tenant(make_tenant().id):
        for number in range(5):
            make_invocation(AT - (100 + number) * DAY)

    def die(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(operations.jobs, "delete_finished_jobs", die)
    with operator():
        job = jobs.enqueue(kind=APPLY_RETENTION, at=AT)
    advance(job_id=job.id, tenant_id=None, now=lambda: AT)

    assert left()["Invocation"] == 0
    with operator():
        assert Job.objects.get(id=job.id).state == "failed"


def test_job_that_is_tried_again_meanwhile_stays(database, admin):
    with tenant(make_tenant().id):
        job = make_job(AT - 100 * DAY, "failed")

    with admin.transaction():
        admin.execute("SELECT FROM jobs_job WHERE id = %s FOR NO KEY UPDATE", [job.id])
        [deleted] = run()

    assert deleted["jobs"] == 0
    assert left()["Job"] == 1


PLANS = [
    ("telemetry_invocation", "started_at", "telemetry_newest_of_all"),
    ("jobs_job", "finished_at", "jobs_job_finished"),
    ("telemetry_requestcount", "minute", "telemetry_one_count_per_minute"),
]


@pytest.mark.parametrize(("table", "column", "index"), PLANS)
def test_oldest_are_found_by_an_index(database, table, column, index):
    with operator(), connections["operator"].cursor() as cursor:
        for other_way in ("seqscan", "bitmapscan", "sort"):  # which it would take for a small table
            cursor.execute(f"SET LOCAL enable_{other_way} = off")
        cursor.execute(f"EXPLAIN SELECT id FROM {table} WHERE {column} < now() ORDER BY {column} LIMIT 1000")  # noqa: S608  # constants
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert index in plan
    assert "Sort" not in plan

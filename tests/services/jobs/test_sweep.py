"""How the sweep finds what no message reached; and what is found of jobs."""

import datetime as dt
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from services.jobs import operations as jobs
from services.jobs import queries
from services.jobs.models import Job, JobStep, State
from services.jobs.operations import sweeping
from tenants.isolation import tenant
from tests.factories import AT
from tests.services.jobs.kinds import (
    SINGLE,
    SUBJECT,
    as_enqueued,
    claimed,
    fail,
    job_now,
    later,
    retry_later,
    succeed,
    take_messages,
)

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("prepare", "at_s", "resend_after_s", "expected"),
    [
        (as_enqueued, 0, 10, 0),  # its message was just sent
        (as_enqueued, 10, 10, 0),
        (as_enqueued, 11, 10, 1),  # and seems to be lost
        (as_enqueued, 1, 0, 1),  # or is, as at the start of the process that kept it
        (retry_later, 4, 0, 0),
        (retry_later, 5, 10, 1),  # no message was sent since it became due
        ("claim", 60, 0, 0),
        ("claim", 61, 10, 1),  # its worker is lost
        (succeed, 1000, 0, 0),
        (fail, 1000, 0, 0),
    ],
)
def test_sweep_sends_for_what_no_message_has_reached(single, prepare, at_s, resend_after_s, expected):
    if prepare == "claim":
        claimed(single)
    elif prepare is not as_enqueued:
        prepare(claimed(single))
    take_messages()

    assert jobs.sweep(at=later(at_s), resend_after_s=resend_after_s) == expected
    assert len(take_messages()) == expected
    assert jobs.sweep(at=later(at_s), resend_after_s=10) == 0


def test_sweep_sends_ever_more_rarely_behind_a_long_queue(single):
    """Once a minute, as on Lambda, for two hours in which no worker comes to it: six messages and not 120."""
    take_messages()

    sent = [minute for minute in range(120) if jobs.sweep(at=later(60 * minute), resend_after_s=60)]

    assert sent == [2, 5, 11, 23, 47, 95]
    assert len(take_messages()) == len(sent)


def test_sweep_finds_what_another_process_wrote(owner):
    """A row without a message: written where no broker could be reached, or none is known."""
    with tenant(owner):
        job = Job.objects.create(kind=SINGLE.name, subject_id=SUBJECT)
        JobStep.objects.create(job=job, name="run", position=0, state=State.QUEUED, run_after=AT)

    assert jobs.sweep(at=AT, resend_after_s=10) == 1
    assert take_messages() == [("default", "test.single", {"job_id": str(job.id), "tenant_id": str(owner)})]


def test_sweep_goes_through_many_in_batches(owner, monkeypatch):
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    with tenant(owner):
        for number in range(5):
            jobs.enqueue(kind=SINGLE, subject_id=uuid.UUID(int=number), at=AT)
    take_messages()

    assert [jobs.sweep(at=later(20), resend_after_s=10) for _ in range(4)] == [2, 2, 1, 0]
    assert len({message["job_id"] for _, _, message in take_messages()}) == 5


def test_sweep_leaves_kinds_that_another_release_knows(owner, single):
    with tenant(owner):
        newer = Job.objects.create(kind="test.of_the_next_release", subject_id=SUBJECT)
        JobStep.objects.create(job=newer, name="run", position=0, state=State.QUEUED, run_after=AT)

    assert jobs.sweep(at=later(20), resend_after_s=10) == 1


def test_due_jobs_are_those_that_wait_no_longer(owner, single, diamond):
    retry_later(claimed(single))

    assert queries.due_jobs(at=later(-1)) == []
    assert queries.due_jobs(at=AT) == [(diamond.id, owner)]
    assert queries.due_jobs(at=later(5)) == [(diamond.id, owner), (single.id, owner)]
    with tenant(owner):
        assert queries.open_job_count() == 2


def test_job_enqueued_while_the_broker_is_down_is_not_lost(owner):
    """The commit stands and the caller isn't troubled; the sweep of a process that reaches the broker sends later."""
    code = f"""
import datetime as dt, uuid, django
django.setup()
from services.jobs import operations as jobs
from tenants.isolation import tenant
from tests.services.jobs.kinds import SINGLE, AT
with tenant(uuid.UUID({str(owner)!r})):
    print(jobs.enqueue(kind=SINGLE, at=AT).id)
"""
    environment = {
        **os.environ,
        "BROKER_URL": "amqp://127.0.0.1:1//",
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
        "PYTHONPATH": str(REPOSITORY),
    }
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=30
    )
    job_id = ran.stdout.strip()
    assert "Connection refused" in ran.stderr

    with tenant(owner):
        assert JobStep.objects.get(job_id=job_id).state == State.QUEUED
    assert jobs.sweep(at=later(11), resend_after_s=10) == 1
    assert take_messages() == [("default", "test.single", {"job_id": job_id, "tenant_id": str(owner)})]


def test_lists_of_jobs_are_filtered(owner, single, diamond):
    succeed(claimed(single))

    with tenant(owner):
        listed = {
            "all": set(queries.list_jobs()),
            "kind": set(queries.list_jobs(kind=SINGLE.name)),
            "state": set(queries.list_jobs(state=State.QUEUED)),
            "subject": set(queries.list_jobs(subject_id=uuid.UUID(int=8))),
        }
        steps = [step.name for step in queries.get_job(job_id=diamond.id).steps.all()]

    assert listed == {"all": {single, diamond}, "kind": {single}, "state": {diamond}, "subject": set()}
    assert steps == ["first", "left", "right", "last"]
    assert dt.timedelta(0) == job_now(single).finished_at - AT


def test_newest_jobs_of_subjects_are_found_by_their_index(owner, single, admin):
    columns = [field.column for field in Job._meta.concrete_fields if field.name not in {"id", "subject_id"}]
    admin.execute(
        f"INSERT INTO jobs_job (id, subject_id, {', '.join(columns)}) "  # noqa: S608  # columns of our own
        f"SELECT gen_random_uuid(), gen_random_uuid(), {', '.join(columns)} FROM jobs_job, generate_series(1, 2000)"
    )
    admin.execute("ANALYZE jobs_job")

    with tenant(owner), connection.cursor() as cursor:
        with CaptureQueriesContext(connection) as captured:
            found = queries.newest_jobs(subject_ids=[single.subject_id])
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert found == {single.subject_id: single}
    assert "jobs_job_newest_of_subject" in plan

"""Time to enqueue and run a job that does nothing, against plain Celery on the same broker doing the same durable work.

The baseline is a Celery task with a row of its own, as one would write it to know what became of each: whoever asks
inserts the row (queued) in the tenant's transaction and sends the task after the commit; the task updates the row
(succeeded) in a transaction of the tenant's. It has no claim, lease, retry, progress, steps or record of the
invocation; ours has. Both use the same worker, threads, database, isolation and table, and take turns; that each did
every piece of work once is asserted. `overhead_ratio` is the time of ours over that of the baseline.

Then the broker misbehaves: each message is delivered twice, and again after the job is done. `lost` jobs never ended,
`doubled` ones ran more than once. All of it through memory, and then, fewer of each, through SQS on the emulator
(`--sqs` alone does that): `sqs_overhead_ratio`, and `lost` and `doubled` of both. The last line is JSON.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
ON_SQS = "--sqs" in sys.argv
surroundings = contextlib.ExitStack()
if ON_SQS:
    from infra.emulator import ROOT, running_emulator

    os.environ.update(ROOT, AWS_ENDPOINT_URL=surroundings.enter_context(running_emulator()), BROKER_URL="sqs://")

from tests import plugin  # gives this process a database of its own

django.setup()

# what follows needs the settings, and they the database
from django.conf import settings
from django.db import connections, transaction

from fatfire.celery import app
from fatfire.kit import clock
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from services.jobs.models import Job, State
from services.jobs.operations import ClaimedJob
from tenants.isolation import tenant
from tests import factories
from tests.workers.queues import Queues
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import task

ROUNDS, TASKS, FAN_OUT, MISBEHAVED = (7, 40, 200, 40) if ON_SQS else (15, 100, 1000, 200)
THREADS = 4
DEADLINE_S = 120
NOTHING = JobKind("bench.nothing")

owner = factories.make_tenant()
ran: Counter[UUID] = Counter()


@task(NOTHING)
def do_nothing(job: ClaimedJob) -> None:
    """Do nothing, and count that it was done."""
    ran[job.subject] += 1


@app.task(name="bench.plain")
def plain(row_id: str, tenant_id: str) -> None:
    """Do nothing, and say so in the row."""
    with tenant(UUID(tenant_id)):
        Job.objects.filter(id=UUID(row_id)).update(state=State.SUCCEEDED, finished_at=clock.now())


def ask_ours(subject: UUID) -> None:
    """Queue a job."""
    with tenant(owner.id):
        jobs.enqueue(kind=NOTHING, subject_id=subject, at=clock.now())


def ask_plain(subject: UUID) -> None:
    """Write a row, and send a task once it is committed."""
    with tenant(owner.id):
        row = Job.objects.create(kind="bench.plain", subject_id=subject)
        arguments = {"row_id": str(row.id), "tenant_id": str(owner.id)}
        transaction.on_commit(lambda: app.send_task("bench.plain", kwargs=arguments, queue="default"))


def done(kind: str) -> set[UUID]:
    """Return what succeeded."""
    with tenant(owner.id):
        return set(Job.objects.filter(kind=kind, state=State.SUCCEEDED).values_list("subject_id", flat=True))


def run(ask: Callable[[UUID], None], kind: str, count: int) -> float:
    """Return the seconds from the first of `count` pieces of work to the end of the last."""
    subjects = {uuid4() for _ in range(count)}
    before = done(kind)
    began = time.perf_counter()
    for each in subjects:
        ask(each)
    wait_for(kind, len(before) + count)
    took = time.perf_counter() - began
    assert done(kind) - before == subjects
    with tenant(owner.id):  # so that no round is slower for the rows of those before
        Job.objects.filter(kind=kind).delete()
    return took


def wait_for(kind: str, count: int) -> None:
    """Wait until so many succeeded."""
    until = time.monotonic() + DEADLINE_S
    while len(done(kind)) < count:
        assert time.monotonic() < until, f"{kind}: {len(done(kind))} of {count} are done"
        time.sleep(0.005)


@contextlib.contextmanager
def worker() -> Iterator[None]:
    """Run a Celery worker in this process for the length of the block."""
    running = app.WorkController(pool="threads", concurrency=THREADS, queues=["default"], loglevel="WARNING")
    thread = threading.Thread(target=running.start, daemon=True)
    thread.start()
    try:
        yield
    finally:
        running.stop()
        thread.join()


def misbehave(count: int) -> tuple[int, int]:
    """Deliver each message of `count` jobs twice, and once more when it is done; return how many were lost, doubled."""
    ran.clear()
    with tenant(owner.id):
        found = [jobs.enqueue(kind=NOTHING, subject_id=uuid4(), at=clock.now()) for _ in range(count)]
    messages = [{"job_id": str(job.id), "tenant_id": str(owner.id)} for job in found]
    for message in messages:
        app.send_task(NOTHING.name, kwargs=message, queue="default")
    wait_for(NOTHING.name, count)
    for message in messages:
        app.send_task(NOTHING.name, kwargs=message, queue="default")
    ask_ours(last := uuid4())  # behind all of them
    until = time.monotonic() + DEADLINE_S
    while ran[last] == 0 and time.monotonic() < until:
        time.sleep(0.005)
    subjects = {job.subject_id for job in found}
    return len(subjects - done(NOTHING.name)), sum(ran[each] > 1 for each in subjects)


def fan_out(count: int) -> float:
    """Return the seconds from asking for `count` jobs in one transaction to the end of the last."""
    began = time.perf_counter()
    with tenant(owner.id):
        for _ in range(count):
            jobs.enqueue(kind=NOTHING, subject_id=uuid4(), at=clock.now())
    wait_for(NOTHING.name, count)
    took = time.perf_counter() - began
    with tenant(owner.id):
        Job.objects.all().delete()
    return took


def on_sqs() -> dict[str, float]:
    """Return the figures of the same through SQS."""
    command = [sys.executable, __file__, "--sqs"]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    *lines, last = ran.stdout.splitlines()
    print(*lines, sep="\n")
    figures: dict[str, float] = json.loads(last)
    return figures


def main() -> None:
    """Take turns."""
    if ON_SQS:
        Queues(environment=settings.ENVIRONMENT).make()
    with worker():
        for ask, kind in ((ask_ours, NOTHING.name), (ask_plain, "bench.plain")):
            run(ask, kind, TASKS)
        figures = [(run(ask_ours, NOTHING.name, TASKS), run(ask_plain, "bench.plain", TASKS)) for _ in range(ROUNDS)]
        ours_s, plain_s = (statistics.median(column) for column in zip(*figures, strict=True))
        ratio = statistics.median(own / base for own, base in figures)
        fan_out_s = fan_out(FAN_OUT)
        lost, doubled = misbehave(MISBEHAVED)
    connections.close_all()
    broker = "sqs:// (emulated)" if ON_SQS else "memory://"
    print(f"enqueue and run {TASKS} jobs, {THREADS} threads, {broker}: median of {ROUNDS} interleaved rounds")
    print(f"  ours                       {ours_s / TASKS * 1e3:6.2f} ms each")
    print(f"  plain Celery with a row    {plain_s / TASKS * 1e3:6.2f} ms each")
    print(f"  ours / plain               {ratio:6.2f}")
    print(f"  {FAN_OUT} jobs from one transaction, to the end of the last: {fan_out_s:.2f} s")
    print(f"  {MISBEHAVED} jobs, each delivered twice and again when done: {lost} lost, {doubled} doubled")
    shown = {
        "overhead_ratio": round(ratio, 2),
        "jobs_per_s": round(TASKS / ours_s),
        f"fan_out_{FAN_OUT}_s": round(fan_out_s, 2),
        "lost": lost,
        "doubled": doubled,
    }
    if not ON_SQS:
        there = on_sqs()
        shown["sqs_overhead_ratio"] = there["overhead_ratio"]
        shown["lost"], shown["doubled"] = lost + there["lost"], doubled + there["doubled"]
    print(json.dumps(shown))


if __name__ == "__main__":
    try:
        main()
    finally:
        plugin.pytest_unconfigure()
        surroundings.close()

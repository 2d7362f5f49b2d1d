"""The worker and the scheduler as threads of this process: a laptop's alternative to Lambda and EventBridge."""

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator

import structlog
from celery import signals  # type: ignore[import-untyped]
from django.conf import settings
from django.db import close_old_connections, connections

from fatfire.celery import app
from fatfire.kit import clock
from services.jobs import operations as jobs
from services.jobs.jobs import Queue
from workers.schedule import SCHEDULE, SWEEP, Entry

logger = structlog.get_logger(__name__)

CONCURRENCY = 4


@contextlib.contextmanager
def worker_and_scheduler() -> Iterator[None]:
    """Run jobs and the schedule for the length of the block; then let running jobs end.

    Messages in memory die with their process, and nobody else hears them: no other worker can be alive. So at the start
    every job that is due is sent again, and what the one before was at when it was killed is taken up at once.
    """
    if settings.BROKER_URL.startswith("memory:"):
        jobs.take_over(at=clock.now())
    stop = threading.Event()
    signals.task_postrun.connect(_close_connections)
    worker = app.WorkController(
        pool="threads", concurrency=CONCURRENCY, queues=[queue.value for queue in Queue], loglevel="WARNING"
    )
    threads = [
        threading.Thread(target=worker.start, name="worker", daemon=True),
        threading.Thread(target=_run_schedule, args=(stop,), name="scheduler", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        worker.stop()
        for thread in threads:
            thread.join()
        signals.task_postrun.disconnect(_close_connections)


def _close_connections(**_: object) -> None:
    """Close this thread's connections: a thread of the pool ends without a chance to do it."""
    connections.close_all()


def _run_schedule(stop: threading.Event) -> None:
    """Fire each entry at the start and then at its interval."""
    due = dict.fromkeys(SCHEDULE, clock.now())
    while True:
        close_old_connections()  # those that broke, too; a request would do it
        try:
            _tick(due)
        except Exception:  # the outermost edge of the scheduler: it must outlive a database that restarts
            logger.exception("schedule_failed")
        if stop.wait(SWEEP.every.total_seconds()):
            break
    connections.close_all()


def _tick(due: dict[Entry, dt.datetime]) -> None:
    at = clock.now()
    for entry, moment in due.items():
        if moment <= at:
            entry.fire(at=at)
            due[entry] = at + entry.every

"""What runs when. One table, for the scheduler in this process and for EventBridge."""

import datetime as dt
from dataclasses import dataclass

from services.cleanup.jobs import APPLY_RETENTION
from services.exchange.jobs import LOAD_RATES
from services.history.jobs import ROLL_UP_DUE
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from tenants.isolation import operator


@dataclass(frozen=True, slots=True)
class Entry:
    """A job of the platform and how often it runs. A firing too many does nothing: one such job is open at a time."""

    kind: JobKind
    every: dt.timedelta


SCHEDULE = (
    # The Central Bank publishes at about 16:00 Central European Time on working days.
    Entry(LOAD_RATES, dt.timedelta(hours=1)),
    # Somewhere midnight passes every quarter of an hour: time zones differ by as little.
    Entry(ROLL_UP_DUE, dt.timedelta(minutes=15)),
    Entry(APPLY_RETENTION, dt.timedelta(days=1)),
)
SWEEP_EVERY = dt.timedelta(seconds=2)


def fire(entry: Entry, *, at: dt.datetime) -> None:
    """Queue the entry's job, unless it is open already."""
    with operator():
        jobs.enqueue(kind=entry.kind, at=at)

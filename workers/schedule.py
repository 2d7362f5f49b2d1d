"""What runs when. One table, for the scheduler in this process and for EventBridge (infra/ makes each entry a rule)."""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from services.cleanup.jobs import APPLY_RETENTION
from services.exchange.jobs import LOAD_RATES
from services.history.jobs import ROLL_UP_DUE
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from services.media.jobs import DELETE_STRAYS, TIDY
from tenants.isolation import operator


@dataclass(frozen=True, slots=True)
class Entry:
    """Something of the platform and how often it is done. A firing too many does nothing.

    Of a job one is open at a time; without a `kind` it is the sweep, which is no job: it is what brings jobs about.
    """

    every: dt.timedelta
    kind: JobKind | None = None

    @property
    def name(self) -> str:
        """What the event {"schedule": name} calls it."""
        return self.kind.name if self.kind else "jobs.sweep"

    @property
    def expression(self) -> str:
        """EventBridge's expression: the interval in whole minutes, of which it knows nothing shorter than one."""
        minutes = max(1, round(self.every.total_seconds() / 60))
        return f"rate({minutes} {'minute' if minutes == 1 else 'minutes'})"

    def fire(self, *, at: dt.datetime) -> None:
        """Queue the job, unless it is open already; or sweep."""
        if self.kind is None:
            while jobs.sweep(at=at, resend_after_s=settings.JOBS_RESEND_AFTER_SECONDS) == jobs.SWEEP_BATCH:
                pass
            return
        with operator():
            jobs.enqueue(kind=self.kind, at=at)


SWEEP = Entry(dt.timedelta(seconds=2))
SCHEDULE = (
    SWEEP,
    # The Central Bank publishes at about 16:00 Central European Time on working days.
    Entry(dt.timedelta(hours=1), LOAD_RATES),
    # Somewhere midnight passes every quarter of an hour: time zones differ by as little.
    Entry(dt.timedelta(minutes=15), ROLL_UP_DUE),
    Entry(dt.timedelta(days=1), APPLY_RETENTION),
    Entry(dt.timedelta(minutes=1), TIDY),
    Entry(dt.timedelta(days=1), DELETE_STRAYS),
)


def entry_named(name: str) -> Entry:
    """Return the entry of that name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in SCHEDULE}[name]

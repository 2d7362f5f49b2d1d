"""What a page shows of a job: the console's and the person's."""

import datetime as dt
from typing import Any

from fatfire.kit.clock import now
from services.jobs.graph import graph_of
from services.jobs.models import OPEN, Job, State


def percent_of(job: Job) -> int | None:
    """Return how much of the job is done, from 0 to 100; None where it doesn't say.

    Of several steps it is the share that succeeded. The steps were fetched.
    """
    steps = list(job.steps.all())
    if job.state == State.SUCCEEDED:
        return 100
    if len(steps) > 1:
        return 100 * sum(step.state == State.SUCCEEDED for step in steps) // len(steps)
    return min(100, job.progress_done * 100 // job.progress_total) if job.progress_total else None


def progress_of(job: Job) -> dict[str, Any]:
    """Return what the page of a job, whose steps were fetched, shows of it: the context of jobs/_graph.html, too."""
    steps = list(job.steps.all())
    return {
        "job": job,
        "is_open": job.state in OPEN,
        "percent": percent_of(job),
        "took": duration(job.started_at, job.finished_at or now()),
        "graph": graph_of(job.kind, steps),
        "steps": [(step, duration(step.started_at, step.finished_at or now())) for step in steps],
    }


def every_s(job: Job) -> int | None:
    """Return how long the browser waits before it asks again: the longer the job takes, the longer; None: it ended."""
    if job.state not in OPEN:
        return None
    age_s = (now() - (job.started_at or job.created_at)).total_seconds()
    return 1 if age_s < 15 else 3 if age_s < 60 else 10


def duration(start: dt.datetime | None, end: dt.datetime) -> str:
    """Return the time between in words that fit a column; a dash for what hasn't begun."""
    if start is None:
        return "—"
    return duration_of(max((end - start).total_seconds(), 0))


def duration_of(seconds: float | None) -> str:
    """Return a time in words that fit a column; empty when it isn't known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

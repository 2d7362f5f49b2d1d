"""Deleting what has been kept for long enough, across tenants."""

import datetime as dt
from collections.abc import Callable
from functools import partial

from django.contrib.sessions.models import Session

from services.accounts import operations as accounts
from services.cleanup.jobs import APPLY_RETENTION
from services.jobs import operations as jobs
from services.jobs.operations import Progress
from services.telemetry import operations as telemetry
from tenants.isolation import operator

BATCH = 1000
"""So many rows are deleted in one transaction: locks are held for a moment only."""
MOST_BATCHES = 200
"""Of one run: the rest is done by another that follows at once, so that none runs into its time limit."""
SIGN_INS_KEPT = dt.timedelta(days=1)


def apply_retention(*, invocation_days: int, job_days: int, progress: Progress, at: dt.datetime) -> dict[str, int]:
    """Delete what is older than it is kept for; return how many of each were deleted. Across tenants. Repeatable.

    Sign-in requests and links are kept for a day, sessions until they expire, invocations and counts of requests for
    `invocation_days`, finished jobs with their steps for `job_days` from their end. Open jobs are never deleted.
    """
    invocations_before = at - dt.timedelta(days=invocation_days)
    deletions: dict[str, Callable[..., int]] = {
        "sign_ins": partial(accounts.delete_sign_ins, before=at - SIGN_INS_KEPT),
        "sessions": partial(_delete_sessions, before=at),
        "request_counts": partial(telemetry.delete_request_counts, before=invocations_before),
        "invocations": partial(telemetry.delete_invocations, before=invocations_before),
        "jobs": partial(jobs.delete_finished_jobs, before=at - dt.timedelta(days=job_days)),
    }
    deleted = dict.fromkeys(deletions, 0)
    batches = 0
    for name, delete in deletions.items():
        count = BATCH
        while count >= BATCH:
            batches += 1
            with operator():
                if batches > MOST_BATCHES:
                    jobs.enqueue(kind=APPLY_RETENTION, at=at)  # ours is running, so it runs once more when it ends
                    return deleted
                count = delete(limit=BATCH)
                deleted[name] += count
                progress.report(sum(deleted.values()), note=name)
    return deleted


def _delete_sessions(*, before: dt.datetime, limit: int) -> int:
    expired = Session.objects.filter(expire_date__lt=before).order_by("expire_date")  # Django has an index of it
    return Session.objects.filter(pk__in=expired.values("pk")[:limit]).delete()[0]

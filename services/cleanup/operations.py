"""Deleting: what has been kept for long enough, across tenants; and a portfolio with all that is in it."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.sessions.models import Session

from fatfire.kit.errors import DomainError
from services.accounts import operations as accounts
from services.cleanup import queries
from services.cleanup.jobs import (
    APPLY_RETENTION,
    DELETE_ASSET_HISTORY,
    DELETE_ASSETS,
    DELETE_PORTFOLIO,
    DELETE_PORTFOLIO_HISTORY,
    DELETE_VIDEOS,
    REMOVE_LINKS,
)
from services.core import operations as core
from services.history import operations as history
from services.insurance import operations as insurance
from services.integration import operations as integration
from services.integration import queries as integration_queries
from services.jobs import operations as jobs
from services.jobs.operations import ClaimedJob, Progress
from services.media import operations as media
from services.media import queries as media_queries
from services.messaging import operations as messaging
from services.receipts import operations as receipts
from services.telemetry import operations as telemetry
from tenants.isolation import operator, tenant

if TYPE_CHECKING:
    from services.jobs.models import Job

BATCH = 1000
"""So many rows are deleted in one transaction: locks are held for a moment only."""
MOST_BATCHES = 200
"""Of one run: the rest is done by another that follows at once, so that none runs into its time limit."""
SIGN_INS_KEPT = dt.timedelta(days=1)


class DeletionBegun(DomainError):
    """Some of what is in the portfolio is deleted already; it can't be brought back."""

    code = "deletion_begun"


def apply_retention(*, invocation_days: int, job_days: int, progress: Progress, at: dt.datetime) -> dict[str, int]:
    """Delete what is older than it is kept for; return how many of each were deleted. Across tenants. Repeatable.

    Sign-in requests and links are kept for a day, sessions and listeners until they expire, invocations and counts of
    requests for `invocation_days`, finished jobs with their steps for `job_days` from their end. Open jobs are never
    deleted.
    """
    invocations_before = at - dt.timedelta(days=invocation_days)
    deletions: dict[str, Callable[..., int]] = {
        "sign_ins": partial(accounts.delete_sign_ins, before=at - SIGN_INS_KEPT),
        "listeners": partial(messaging.delete_listeners, before=at),
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


def request_portfolio_deletion(*, portfolio_id: UUID, at: dt.datetime) -> "Job":
    """Hide the portfolio at once and queue the deletion of all that is in it; return the job, in the open scope.

    Repeatable: of one that is being deleted already the open job is returned, and one that failed or was stopped goes
    on from there.

    Raises:
        Portfolio.DoesNotExist: not this tenant's, or gone.
    """
    contents = queries.portfolio_contents(portfolio_id=portfolio_id)
    marked = core.mark_for_deletion(portfolio_id=portfolio_id, at=at)
    job = None if marked else queries.deletion_jobs(portfolio_ids=[portfolio_id]).get(portfolio_id)
    if job is not None:
        return job if job.finished_at is None else jobs.retry_job(job_id=job.id, at=at)
    integration.stop_syncs(portfolio_id=portfolio_id, at=at)
    named = {"portfolio": marked.name} if marked else {}  # else retention took the job that knew it
    links, videos = {"links": contents.pop("links")}, {"videos": contents.pop("videos")}
    inputs: dict[str, dict[str, Any]] = {step.name: named for step in DELETE_PORTFOLIO.steps}
    inputs |= {REMOVE_LINKS: {**named, **links}, DELETE_ASSETS: {**named, **contents}}
    inputs[DELETE_VIDEOS] = {**named, **videos}
    return jobs.enqueue(kind=DELETE_PORTFOLIO, subject_id=portfolio_id, at=at, inputs=inputs)


def restore_portfolio(*, portfolio_id: UUID, at: dt.datetime) -> None:
    """Stop the portfolio's deletion and show it again, as long as nothing in it was deleted.

    Links that were removed at their banks meanwhile stay removed, and their accounts closed.

    Raises:
        Portfolio.DoesNotExist: not this tenant's, or gone.
        PortfolioNotBeingDeleted: it is shown.
        DeletionBegun: too late.
        NameTaken: another portfolio got its name.
    """
    core.restore_portfolio(portfolio_id=portfolio_id, at=at)
    job = queries.deletion_jobs(portfolio_ids=[portfolio_id]).get(portfolio_id)
    if job is None:  # retention took it: nobody knows any more how far it came
        raise DeletionBegun
    job = jobs.hold_job(job_id=job.id)
    if job.steps.filter(name=DELETE_ASSETS, attempts__gt=0).exists():
        raise DeletionBegun
    if job.finished_at is None:
        jobs.cancel_job(job_id=job.id, at=at)


def remove_links(*, job: ClaimedJob) -> dict[str, int]:
    """End the consents of the portfolio's links at their banks, with no transaction open. Repeatable.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
        BankUnavailable: try again later.
    """
    total = int(job.input.get("links", 0))
    while True:
        with tenant(job.tenant):
            core.require_deletion(portfolio_id=job.subject)
            left = integration_queries.links_to_end(portfolio_id=job.subject)
            removed = {"links": max(total - len(left), 0)}
            job.progress.report(removed["links"], total, note=_NOTES[REMOVE_LINKS], output=removed)
        if not left:
            return removed
        integration.run_removal(tenant_id=job.tenant, link_id=left[0], progress=job.progress, at=job.started_at)


def delete_assets(*, job: ClaimedJob) -> dict[str, int]:
    """Delete all that hangs on the portfolio's assets but their history, and its records and links. Repeatable.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
    """
    return _delete(
        job,
        {
            "receipts": receipts.delete_receipts,
            "policies": insurance.delete_policies,
            "linked_accounts": integration.delete_linked_accounts,
            "links": integration.delete_links,
            "transactions": core.delete_transactions,
            "values": core.delete_values,
        },
    )


def delete_asset_history(*, job: ClaimedJob) -> dict[str, int]:
    """Delete the days of the portfolio's assets, and then the assets, with nothing left on them. Repeatable.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
    """
    return _delete(job, {"asset_days": history.delete_asset_days, "assets": core.delete_assets})


def delete_portfolio_history(*, job: ClaimedJob) -> dict[str, int]:
    """Delete the portfolio's days, and how far they were worked out. Repeatable.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
    """
    return _delete(job, {"portfolio_days": history.delete_portfolio_days, "rollup_states": history.delete_rollup_state})


def delete_videos(*, job: ClaimedJob) -> dict[str, int]:
    """Delete the portfolio's videos with their files, with no transaction open meanwhile. Repeatable.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
        StorageUnavailable: try again later.
    """
    deleted = {"videos": 0, "files": 0, **job.output}
    while True:
        with tenant(job.tenant):
            core.require_deletion(portfolio_id=job.subject)
            video_id = media_queries.video_to_delete(portfolio_id=job.subject)
            job.progress.report(deleted["videos"], note=_NOTES[DELETE_VIDEOS], output=deleted)
        if video_id is None:
            return deleted
        at = job.started_at
        files = media.run_deletion(tenant_id=job.tenant, video_id=video_id, progress=job.progress, at=at)
        deleted = {"videos": deleted["videos"] + 1, "files": deleted["files"] + files}


def delete_portfolio(*, job: ClaimedJob) -> dict[str, int]:
    """Delete the portfolio itself. Repeatable: of one that is gone nothing is left to do.

    Raises:
        PortfolioNotBeingDeleted: it is kept.
        StorageUnavailable: try again later.
    """
    delete_videos(job=job)  # a job from before there were videos has no step for them
    with tenant(job.tenant):
        core.require_deletion(portfolio_id=job.subject)
        gone = core.delete_portfolio(portfolio_id=job.subject, at=job.started_at)
        output = {"portfolios": gone or int(job.output.get("portfolios", 0))}
        job.progress.report(1, 1, note="Portfolio deleted", output=output)
    return output


_NOTES = {
    REMOVE_LINKS: "Removing bank links",
    DELETE_ASSETS: "Deleting assets",
    DELETE_ASSET_HISTORY: "Deleting the assets' history",
    DELETE_PORTFOLIO_HISTORY: "Deleting the portfolio's history",
    DELETE_VIDEOS: "Deleting the videos",
}


def _delete(job: ClaimedJob, deletions: dict[str, Callable[..., int]]) -> dict[str, int]:
    """Run each deletion until it finds nothing, BATCH rows a transaction; return how many rows went, by name.

    What earlier attempts deleted is counted too: each batch is kept together with the count.
    """
    deleted: dict[str, int] = dict.fromkeys(deletions, 0) | {name: int(job.output[name]) for name in job.output}
    for name, delete in deletions.items():
        count = BATCH
        while count >= BATCH:
            with tenant(job.tenant):
                core.require_deletion(portfolio_id=job.subject)
                count = delete(portfolio_id=job.subject, limit=BATCH)
                deleted[name] += count
                job.progress.report(sum(deleted.values()), note=_NOTES[job.step], output=deleted)
    return deleted

"""What is told of the jobs at work on links to banks: how far one is, how it ended, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from fatfire.kit.clock import now
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link
from services.jobs.models import OPEN, Job, State

KINDS = frozenset((SYNC_LINK.name, REMOVE_LINK.name))
_TITLES = {
    (SYNC_LINK.name, State.QUEUED): "Waiting to read",
    (SYNC_LINK.name, State.RUNNING): "Reading",
    (SYNC_LINK.name, State.SUCCEEDED): "Up to date",
    (SYNC_LINK.name, State.FAILED): "Not read",
    (SYNC_LINK.name, State.CANCELLED): "Reading was stopped",
    (REMOVE_LINK.name, State.QUEUED): "Waiting to remove",
    (REMOVE_LINK.name, State.RUNNING): "Removing",
    (REMOVE_LINK.name, State.SUCCEEDED): "Removed",
    (REMOVE_LINK.name, State.FAILED): "Not removed",
    (REMOVE_LINK.name, State.CANCELLED): "Removing was stopped",
}
_AGAIN = {SYNC_LINK.name: "Refresh data to try again.", REMOVE_LINK.name: "Remove the bank again."}
_REASONS = {
    "consent_revoked": "The bank wants a new sign-in.",
    "item_gone": "The bank no longer knows this link. Link the bank again, then remove this link.",
    "temporarily_unavailable": "The bank can't be reached at the moment. Wait a few minutes.",
    "account_unknown": "The bank told of an account that it doesn't list yet. Wait a few minutes.",
    "bank_refused": "The bank refused what it was asked. If it does so again, remove the bank and link it anew.",
    "bank_not_configured": "No bank provider is set up here. Ask whoever runs this site.",
    "time_limit_exceeded": "It took too long.",
}
_NOTHING_TO_TRY = {"consent_revoked", "item_gone", "bank_not_configured"}
_OTHER_REASON = "Something went wrong here, and nothing was changed."


@dataclass(frozen=True, slots=True)
class Toast:
    """What is told of a job: `every_s`, the seconds until the browser asks again, is None once it has ended."""

    job: Job
    title: str
    text: str
    tone: str
    every_s: int | None


def is_open(job: Job | None) -> bool:
    """Return whether there is a job, and it is queued or running."""
    return job is not None and job.state in OPEN


def name_of(link: Link) -> str:
    """Return the bank's name; of a link that named none it is known from the first import on."""
    return link.institution or "New bank"


def toasts_of(links: Iterable[Link], newest: dict[UUID, Job]) -> list[Toast]:
    """Return what is told of the jobs at work on the links."""
    return [toast_of(newest[link.id], link) for link in links if is_open(newest.get(link.id))]


def toast_of(job: Job, link: Link) -> Toast:
    """Return what is told of one job on a link."""
    state = State(job.state)
    title = f"{_TITLES[job.kind, state]}: {name_of(link)}"
    if state in OPEN:
        return Toast(job, title, job.progress_note, "", _every_s(job))
    if state == State.FAILED:
        return Toast(job, title, _reason(job), "loss", None)
    return Toast(job, title, job.progress_note if state == State.SUCCEEDED else "", "gain", None)


def problem_of(job: Job | None) -> str:
    """Return what went wrong with the job and what to do about it; empty when nothing did."""
    if job is None or job.state != State.FAILED:
        return ""
    return f"{_TITLES[job.kind, State.FAILED]}: {_reason(job)}"


def _every_s(job: Job) -> int:
    """Return how long the browser waits before it asks again: the longer the job takes, the longer."""
    age_s = (now() - (job.started_at or job.created_at)).total_seconds()
    return 1 if age_s < 15 else 3 if age_s < 60 else 10


def _reason(job: Job) -> str:
    reason = _REASONS.get(job.error_code, _OTHER_REASON)
    return reason if job.error_code in _NOTHING_TO_TRY else f"{reason} {_AGAIN[job.kind]}"

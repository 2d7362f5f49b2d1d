"""The page of a job: its graph, what each step was given and did, and the two things that may be done to it."""

import contextlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from fatfire.kit.clock import now
from fatfire.kit.errors import PermissionDenied
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.shell import shell_of, show
from services.accounts import queries as accounts
from services.accounts.queries import principal_of
from services.cleanup import queries as cleanup
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core.jobs import REVALUE_PORTFOLIO
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.jobs import operations, queries
from services.jobs.models import OPEN, Job, State
from services.jobs.progress import every_s, progress_of
from tenants.permissions import Role

_TITLES = {
    DELETE_PORTFOLIO.name: "Delete portfolio",
    REVALUE_PORTFOLIO.name: "Work out history",
    SYNC_LINK.name: "Read from bank",
    REMOVE_LINK.name: "Remove bank",
}
_PAGES = {
    DELETE_PORTFOLIO.name: ("portfolios", "Portfolios"),
    SYNC_LINK.name: ("accounts", "Bank accounts"),
    REMOVE_LINK.name: ("accounts", "Bank accounts"),
}
_ELSEWHERE = ("dashboard", "Dashboard")
_SENTENCES = {
    State.QUEUED: "It waits for its turn.",
    State.RUNNING: "It goes on while you are elsewhere.",
    State.SUCCEEDED: "It is done.",
    State.FAILED: "A step failed, and what comes after it waits. Try again goes on from that step.",
    State.CANCELLED: "It was stopped. What it had done by then stays done; Try again goes on from there.",
}
_DELETION = {
    State.SUCCEEDED: "The portfolio and all that was in it are deleted.",
    State.CANCELLED: "The deletion was stopped. What is deleted stays deleted, and the portfolio stays hidden; "
    "Try again goes on from there.",
}
_KEPT = "The portfolio was kept, and is shown again."


@require_safe
@page
def show_one(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show the job; while it is open the browser asks for its part of the page again."""
    job = queries.get_job(job_id=job_id)
    context = _context(request, job)
    if request.htmx:  # type: ignore[attr-defined]
        zone = accounts.current_tenant().time_zone
        response = render(request, "web/job.html#job", {**context, "time_zone": zone})
    else:
        active, label = _PAGES.get(job.kind, _ELSEWHERE)
        shell = shell_of(request, active)
        context |= {"back": reverse(active), "label": label, "time_zone": shell.tenant.time_zone}
        response = show(request, "web/job.html", shell, **context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
@page
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Go on with a job that failed or was stopped."""
    return _move(request, job_id, operations.retry_job)


@require_POST
@page
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Stop a job."""
    return _move(request, job_id, operations.cancel_job)


def path_of(job: Job) -> str:
    """Return where the job is shown."""
    return reverse("job", args=[job.id])


def _move(request: HttpRequest, job_id: UUID, operation: Callable[..., Job]) -> HttpResponse:
    """Do it, unless the job moved on by itself meanwhile: its page shows how."""
    job = queries.get_job(job_id=job_id)
    if not _may_move(request, job):
        raise PermissionDenied
    with contextlib.suppress(operations.JobNotOpen, operations.JobNotFailed, operations.JobAlreadyOpen):
        operation(job_id=job_id, at=now())
    return see_other(request, path_of(job), saying="")


def _may_move(request: HttpRequest, job: Job) -> bool:
    return principal_of(request).role.allows(queries.role_to_move(job=job))


def _context(request: HttpRequest, job: Job) -> dict[str, Any]:
    may_move, state = _may_move(request, job), State(job.state)
    is_kept = job.kind == DELETE_PORTFOLIO.name and state != State.SUCCEEDED and not cleanup.is_in_deletion(job=job)
    return {
        **progress_of(job),
        "title": _title(job),
        "sentence": _KEPT if is_kept else _sentence(job, state),
        "every_s": every_s(job),
        "may_retry": may_move and state in {State.FAILED, State.CANCELLED} and not is_kept,
        "may_cancel": may_move and state in OPEN,
        "may_restore": principal_of(request).role.allows(Role.ADMIN) and cleanup.may_restore(job=job),
    }


def _title(job: Job) -> str:
    """Return what the job does, and to which portfolio where its steps were told the name."""
    title = _TITLES.get(job.kind, job.kind)
    named = next((step.input["portfolio"] for step in job.steps.all() if "portfolio" in step.input), "")
    return f"{title}: {named}" if named else title


def _sentence(job: Job, state: State) -> str:
    return (_DELETION if job.kind == DELETE_PORTFOLIO.name else {}).get(state, _SENTENCES[state])

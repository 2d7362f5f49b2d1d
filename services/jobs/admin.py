"""The console's pages of jobs: what they are doing, step by step, and the two things that may be done to them."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from services.jobs import operations
from services.jobs.jobs import JobKind
from services.jobs.models import OPEN, Job, JobStep, State
from services.jobs.progress import duration, percent_of, progress_of
from tenants import audit
from tenants.admin import LongTableAdmin, ask_first

STATE_COLOURS = {
    State.BLOCKED: "default",
    State.QUEUED: "info",
    State.RUNNING: "warning",
    State.SUCCEEDED: "success",
    State.FAILED: "danger",
    State.CANCELLED: "default",
}
_MAY_RETRY = (State.FAILED, State.CANCELLED)


class UnknownKind(DomainError):
    """This release knows no jobs of this kind."""

    status, code = 409, "unknown_kind"


class KindFilter(DropdownFilter):
    """Jobs of one kind, of those that are declared: asking the table for all that it holds would read it all."""

    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the kinds by name."""
        return sorted((kind.name, kind.name) for kind in JobKind.all())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(LongTableAdmin):
    """Jobs with their steps."""

    list_display = ("kind", "state_label", "progress", "attempts", "error_code", "created_at", "took")
    list_filter = (("state", ChoicesDropdownFilter), KindFilter, ("created_at", RangeDateTimeFilter))
    ordering = ("-created_at", "-id")
    fields = ("id", "kind", "tenant", "subject_id", "request_id", "created_at")
    change_form_outer_before_template = "jobs/progress.html"
    actions_detail = ("retry", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs with their steps in order."""
        steps = Prefetch("steps", queryset=JobStep.objects.order_by("position"))
        jobs: QuerySet[Job] = super().get_queryset(request).prefetch_related(steps)
        return jobs

    @display(description="State", ordering="state", label=STATE_COLOURS)
    def state_label(self, job: Job) -> tuple[str, str]:
        """Return the state with its colour."""
        return job.state, job.get_state_display()

    @display(description="Progress")
    def progress(self, job: Job) -> str:
        """Return a bar and a percentage; without a known end, what is done."""
        percent = percent_of(job)
        if percent is None:
            return job.progress_note or "—"
        return format_html('<progress max="100" value="{}" aria-label="Progress"></progress> {}%', percent, percent)

    @display(description="Attempts")
    def attempts(self, job: Job) -> int:
        """Return how often a worker took one of the steps."""
        return sum(step.attempts for step in job.steps.all())

    @display(description="Took")
    def took(self, job: Job) -> str:
        """Return the seconds from its start to its end, or to now."""
        return duration(job.started_at, job.finished_at or now())

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the job; while it is open the page asks again by itself."""
        job = self.get_object(request, object_id)
        if job is not None:
            extra_context = {**(extra_context or {}), **_progress_of(job)}
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Return the actions that the job's state allows now."""
        job = self.get_object(request, object_id)
        allowed = {"retry": _MAY_RETRY, "cancel": OPEN}
        actions: list[Any] = super().get_actions_detail(request, object_id)
        return [each for each in actions if job and job.state in allowed[each.method.original_function_name]]

    @action(description="Retry", icon="replay")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Queue the job again, after asking."""
        question = "Queue {row} again? Steps that succeeded are not repeated."
        return ask_first(self, request, object_id, question=question, button="Retry", do=_moves(_retry, "retry"))

    @action(description="Cancel", icon="cancel")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop the job, after asking."""
        question = "Cancel {row}? What it has committed stays; what it is doing is undone."
        return ask_first(self, request, object_id, question=question, button="Cancel job", do=_moves(_cancel, "cancel"))


def _moves(operation: Callable[[Job], Any], word: str) -> Callable[[Job], None]:
    """Return what moves a job and, where it is a tenant's, tells the tenant's owners."""

    def move(job: Job) -> None:
        operation(job)
        if job.tenant_id:
            audit.record(
                action=word, subject="job", subject_id=job.id, at=now(), tenant_id=job.tenant_id, kind=job.kind
            )

    return move


def _retry(job: Job) -> None:
    if job.kind not in {kind.name for kind in JobKind.all()}:
        raise UnknownKind
    operations.retry_job(job_id=job.id, at=now())


def _progress_of(job: Job) -> dict[str, Any]:
    shown = progress_of(job)
    steps = [(step, took, _as_json(step.input), _as_json(step.output)) for step, took in shown["steps"]]
    return {**shown, "steps": steps}


def _as_json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else "—"


def _cancel(job: Job) -> None:
    operations.cancel_job(job_id=job.id, at=now())

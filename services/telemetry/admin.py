"""The console's page of what ran."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from services.telemetry.models import Invocation
from tenants.admin import LongTableAdmin

OUTCOME_COLOURS = {
    Invocation.Outcome.OK: "success",
    Invocation.Outcome.REFUSED: "default",
    Invocation.Outcome.RETRIED: "warning",
    Invocation.Outcome.FAILED: "danger",
}


@admin.register(Invocation)
class InvocationAdmin(LongTableAdmin):
    """Requests, and attempts at steps of jobs."""

    list_display = ("name", "outcome_label", "status", "error_code", "duration_ms", "cold_start", "started_at")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("outcome", ChoicesDropdownFilter),
        ("started_at", RangeDateTimeFilter),
    )
    ordering = ("-started_at", "-id")

    @display(description="Outcome", ordering="outcome", label=OUTCOME_COLOURS)
    def outcome_label(self, invocation: Invocation) -> tuple[str, str]:
        """Return how it ended, with its colour."""
        return invocation.outcome, invocation.get_outcome_display()

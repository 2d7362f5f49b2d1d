"""The console's pages of videos: how the work on each went, piece by piece, and what households may have."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Max, Model, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.widgets import UnfoldForeignKeyRawIdWidget

from fatfire.kit.clock import now
from services.media import operations, queries
from services.media.models import Allowance, Segment, Video, VideoState
from services.media.timeline import estimated_usd, timeline_of
from tenants.admin import LongTableAdmin
from tenants.models import Tenant
from tenants.writable_admin import WritableAdmin, WritingForm

COLOURS = {
    VideoState.UPLOADING: "info",
    VideoState.WORKING: "warning",
    VideoState.READY: "success",
    VideoState.FAILED: "danger",
    VideoState.CANCELLED: "default",
}


@admin.register(Video)
class VideoAdmin(LongTableAdmin):
    """Videos, with when their segments were worked on and what that cost."""

    list_display = ("title", "state_label", "error_code", "size", "seconds", "created_at", "took")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", RangeDateTimeFilter))
    search_fields = ("title", "file_name")
    ordering = ("-created_at", "-id")
    fields = (
        "id", "tenant", "portfolio", "title", "state", "error_code", "error_detail", "file_name", "size", "seconds",
        "width", "height", "plan_number", "created_at", "asked_at", "ready_at", "original_deleted_at", "deleted_at",
    )  # fmt: skip
    change_form_outer_before_template = "media/timeline.html"

    @display(description="State", ordering="state", label=COLOURS)
    def state_label(self, video: Video) -> tuple[str, str]:
        """Return the state with its colour."""
        return video.state, video.get_state_display()

    @display(description="Took")
    def took(self, video: Video) -> str:
        """Return the time from when the work was asked for until the video was ready."""
        if video.asked_at is None or video.ready_at is None:
            return "—"
        return f"{(video.ready_at - video.asked_at).total_seconds():.1f} s"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the video with its timeline."""
        video = self.get_object(request, object_id)
        if video is not None:
            extra_context = {**(extra_context or {}), **_work_on(video)}
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response


class NewAllowanceForm(WritingForm):
    """An allowance, and the household that it is for."""

    household = forms.ModelChoiceField(
        Tenant.objects.none(),
        widget=UnfoldForeignKeyRawIdWidget(Allowance._meta.get_field("tenant").remote_field, admin.site),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["household"].queryset = Tenant.objects.all()  # type: ignore[attr-defined]


@admin.register(Allowance)
class AllowanceAdmin(WritableAdmin):
    """What single households may have, where it isn't what the settings say."""

    list_display = ("tenant", "max_bytes", "max_seconds", "max_videos", "parallel", "renditions")
    ordering = ("tenant",)
    fields = ("household", "max_bytes", "max_seconds", "max_videos", "parallel", "renditions")

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class; only of a new allowance it asks for the household."""
        form = NewAllowanceForm if obj is None else WritingForm
        return super().get_form(request, obj, change=change, form=form, **kwargs)

    def tenant_of(self, values: dict[str, Any]) -> UUID:
        """Return the tenant that was chosen."""
        tenant_id: UUID = values["household"].id
        return tenant_id

    def write(self, row: Allowance | None, values: dict[str, Any]) -> Allowance:
        """Set the household's allowance; it has one at most."""
        said = {name: value for name, value in values.items() if name != "household"}
        return operations.set_allowance(at=now(), **said)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allowance]:
        """Return the allowances with their households."""
        found: QuerySet[Allowance] = super().get_queryset(request).select_related("tenant")
        return found


def _work_on(video: Video) -> dict[str, Any]:
    segments = queries.segments_of(video=video)
    sums = Segment.objects.filter(video=video).aggregate(
        cpu=Sum("cpu_ms"), fetched=Sum("fetched_bytes"), memory=Max("memory_mb")
    )
    return {
        "progress": queries.progress_of(video=video, at=now()),
        "timeline": timeline_of(video, segments),
        "cpu_s": (sums["cpu"] or 0) / 1000,
        "fetched": sums["fetched"] or 0,
        "memory_mb": sums["memory"] or 0,
        "usd": estimated_usd(segments=segments),
    }

"""The pages of videos: what there is, one with its player, and how far the work on it is."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.storage import storage
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.forms import FormPage, attempt, choice_field, text_field
from fatfire.web.shell import may_write, shell_of, show, show_form
from services.accounts import queries as accounts
from services.core import queries as core
from services.core.models import Portfolio
from services.insurance import queries as insurance
from services.jobs.progress import duration_of
from services.media import operations, playback, queries
from services.media.models import Video, VideoState
from services.media.operations import VideoFacts
from tenants.permissions import Role, requires

_ACTIVE = "videos"
_ON_A_PAGE = 24
_LOOK = {
    VideoState.UPLOADING: "",
    VideoState.WORKING: "is-running",
    VideoState.READY: "is-succeeded",
    VideoState.FAILED: "is-failed",
    VideoState.CANCELLED: "",
}


class VideoForm(forms.Form):
    """What is said of a video: its title, and what it is about."""

    title = text_field("Title", 120, required="Enter a title, such as Living room.")
    about = choice_field("What it shows", (), coerce=str, required=False, help_text="A policy, or what you own.")

    def __init__(self, values: Mapping[str, Any] | None, *, initial: dict[str, Any], portfolio: Portfolio) -> None:
        super().__init__(values, initial=initial)
        policies = insurance.list_policies(portfolio_id=portfolio.id).order_by("created_at", "id")
        assets = core.list_assets(portfolio_id=portfolio.id).order_by("created_at", "id")
        groups = {
            "Insured": [(f"policy {each.id}", str(each)) for each in policies],
            "Owned": [(f"asset {each.id}", each.name) for each in assets if each.closed_on is None],
        }
        kept = initial.get("about", "")
        choices = [("", "Nothing in particular"), *((name, rows) for name, rows in groups.items() if rows)]
        if kept and kept not in {value for rows in groups.values() for value, _ in rows}:
            choices.append((kept, "What it showed before"))
        self.fields["about"].choices = choices  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Shown:
    """A video as a list shows it."""

    video: Video
    look: str
    poster: str
    about: str

    @property
    def length(self) -> str:
        """Minutes and seconds, as players write it; empty while nobody knows."""
        return "" if self.video.seconds is None else clock_text(float(self.video.seconds))


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List the chosen portfolio's videos, newest first."""
    shell = shell_of(request, _ACTIVE)
    videos: list[Shown] = []
    next_cursor = None
    if shell.portfolio is not None:
        rows = queries.list_videos(portfolio_id=shell.portfolio.id).select_related("policy", "asset")
        order = ("-created_at", "-id")
        found = paginate(rows, order=order, cursor=request.GET.get("cursor"), limit=_ON_A_PAGE)
        videos, next_cursor = [shown(each) for each in found.items], found.next_cursor
    return show(request, "web/videos.html", shell, videos=videos, next_cursor=next_cursor, may_write=may_write(request))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask what a video is called and shows; its file comes next."""
    shell = shell_of(request, _ACTIVE)
    if shell.portfolio is None:
        return HttpResponseRedirect(reverse("add-portfolio"), status=303)
    portfolio = shell.portfolio
    form = VideoForm(
        request.POST if request.method == "POST" else None,
        initial={"about": request.GET.get("about", "")},
        portfolio=portfolio,
    )
    if request.method == "POST":
        made = attempt(form, lambda values: operations.add_video(facts=_facts(portfolio, values), at=now()))
        if made:
            return HttpResponseRedirect(reverse("upload-video", args=[made.id]), status=303)
    words = FormPage("Add a video", "First what it is; then you choose the file.", "Continue", reverse("videos"))
    return show_form(request, shell, form, words)


@require_safe
@page
def show_one(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Show the video: to be watched as soon as its beginning is there, and how far the rest is.

    htmx asks for one of two parts: `?part=state`, or the player while there is nothing to play.
    """
    video = queries.get_video(video_id=video_id)
    context = _context(request, video)
    part = request.GET.get("part", "")
    if request.htmx and part in {"state", "player"}:  # type: ignore[attr-defined]
        zone = accounts.current_tenant().time_zone
        response = render(request, f"web/video.html#{part}", {**context, "time_zone": zone})
    else:
        shell = shell_of(request, _ACTIVE)
        context["time_zone"] = shell.tenant.time_zone
        response = show(request, "web/video.html", shell, **context)
    response["Vary"] = "HX-Request"
    return response


@require_safe
@page
def playlist(request: HttpRequest, video_id: UUID, name: str) -> HttpResponse:
    """Give one of the video's playlists: those that it names lie beside it."""
    video = queries.get_video(video_id=video_id)
    return HttpResponse(playback.playlist(video=video, name=name), content_type=queries.HLS)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def edit(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Ask for what is to be changed of a video, and change it."""
    video = queries.get_video(video_id=video_id)
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio_of(video)
    form = VideoForm(
        request.POST if request.method == "POST" else None,
        initial={"title": video.title, "about": _about_value(video)},
        portfolio=portfolio,
    )
    path = reverse("video", args=[video_id])
    if request.method == "POST":
        saved = attempt(
            form,
            lambda values: operations.update_video(video_id=video_id, facts=_facts(portfolio, values), at=now()),
        )
        if saved:
            return see_other(request, path, saying="Video saved")
    return show_form(request, shell, form, FormPage(f"Edit {video}", "", "Save video", path))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def delete(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Ask whether a video is to be deleted, and delete it."""
    video = queries.get_video(video_id=video_id)
    if request.method == "POST":
        operations.delete_video(video_id=video_id, at=now())
        return see_other(request, reverse("videos"), saying=f"{video.title} deleted")
    words = FormPage(
        f"Delete {video.title}?",
        "The video goes with all its files, the one that you sent too. It can't be brought back.",
        "Delete it",
        reverse("video", args=[video_id]),
        is_danger=True,
    )
    return show_form(request, shell_of(request, _ACTIVE), forms.Form(), words)


@require_POST
@page
def cancel(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Stop the work on a video."""
    return _move(request, video_id, operations.cancel_transcode, operations.NotBeingPrepared)


@require_POST
@page
def retry(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Go on with the work on a video that failed or was stopped."""
    return _move(request, video_id, operations.retry_transcode, operations.NotToBeTriedAgain)


def videos_about(*, policy_id: UUID | None = None, asset_id: UUID | None = None) -> list[Shown]:
    """Return the newest videos about a policy or an asset, for its page."""
    rows = queries.list_videos(policy_id=policy_id, asset_id=asset_id).select_related("policy", "asset")
    return [shown(each) for each in rows.order_by("-created_at", "-id")[:_ON_A_PAGE]]


def shown(video: Video) -> Shown:
    """Return how a list shows the video, whose policy and asset were fetched."""
    poster = ""
    if video.has_poster:
        key = queries.poster_key(video)
        poster = storage().url(key, content_type=queries.JPEG, expires_s=queries.ADDRESS_SECONDS)
    return Shown(video, _LOOK[VideoState(video.state)], poster, str(video.policy or video.asset or ""))


def clock_text(seconds: float) -> str:
    """Return a length as players write it: 4:05, 1:04:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _move(
    request: HttpRequest, video_id: UUID, operation: Callable[..., Video], too_late: type[Exception]
) -> HttpResponse:
    """Do it, unless the video moved on by itself meanwhile: its page shows how."""
    with contextlib.suppress(too_late):
        operation(video_id=video_id, at=now())
    return see_other(request, reverse("video", args=[video_id]), saying="")


def _facts(portfolio: Portfolio, values: dict[str, Any]) -> VideoFacts:
    kind, _, text = (values["about"] or "").partition(" ")
    about = {f"{kind}_id": UUID(text)} if kind else {}
    return VideoFacts(portfolio_id=portfolio.id, title=values["title"], **about)


def _about_value(video: Video) -> str:
    if video.policy_id:
        return f"policy {video.policy_id}"
    return f"asset {video.asset_id}" if video.asset_id else ""


def _context(request: HttpRequest, video: Video) -> dict[str, Any]:
    state, progress = VideoState(video.state), queries.progress_of(video=video, at=now())
    may_move = may_write(request)
    return {
        "video": video,
        "look": _LOOK[state],
        "progress": progress,
        "playback": playback.playback_of(video=video),
        "is_open": state == VideoState.WORKING,
        "is_uploading": state == VideoState.UPLOADING,
        "length": clock_text(float(video.seconds)) if video.seconds is not None else "",
        "elapsed": duration_of(progress.elapsed_s),
        "predicted": duration_of(progress.predicted_s),
        "left": duration_of(progress.left_s),
        "may_write": may_move,
        "may_cancel": may_move and state == VideoState.WORKING,
        "may_retry": may_move and queries.may_retry(video=video),
    }

"""Reading videos, in the open scope. Lists come as querysets in no order, to be paginated."""

import datetime as dt
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, Max, Q, QuerySet, Sum

from services.core import queries as core
from services.jobs import queries as jobs
from services.media.jobs import PREPARE
from services.media.models import Allowance, Plan, Segment, Video, VideoState
from services.media.refusals import OF_THE_FILE

if TYPE_CHECKING:
    from services.jobs.models import Job

RENDITIONS = ("1080p", "720p", "480p")
ADDRESS_SECONDS = 6 * 3600
"""For so long an address of a file is good: for as long as anyone watches. (A role's credentials may end sooner.)"""
MASTER = "master.m3u8"
MP4, HLS, VTT, JPEG = "video/mp4", "application/vnd.apple.mpegurl", "text/vtt", "image/jpeg"

_LEARNT_VIDEOS, _LEARNT_SEGMENTS = 5, 100
"""Of how many videos, and of how many of their segments at most, the pace is learnt."""
_LEARNT_COST = 1.0
"""From what cost on, in seconds, a segment tells the pace: what a shorter one takes is being opened."""
_TABLE_SEGMENTS = 5
"""As how many segments at a pace of 1 the table of costs counts: what a few took may be due to their pictures."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the tenant may send, have and use at once; `renditions` are names of RENDITIONS, largest first."""

    max_bytes: int
    max_seconds: int
    max_videos: int
    parallel: int
    renditions: tuple[str, ...]


def allowed() -> Allowed:
    """Return what holds for the tenant: its own allowance, else the settings."""
    own = Allowance.objects.first() or Allowance()
    return Allowed(
        max_bytes=own.max_bytes or settings.MEDIA_MAX_BYTES,
        max_seconds=own.max_seconds or settings.MEDIA_MAX_SECONDS,
        max_videos=settings.MEDIA_MAX_VIDEOS if own.max_videos is None else own.max_videos,
        parallel=own.parallel or settings.MEDIA_PARALLEL,
        renditions=tuple(each for each in RENDITIONS if not own.renditions or each in own.renditions.split()),
    )


def pace() -> float:
    """Return the seconds that a worker takes for each that a segment was said to cost, an estimate.

    The median of what segments of the tenant's newest videos took, so that one that was held up says nothing.
    """
    newest = Video.objects.filter(state=VideoState.READY).order_by("-created_at", "-id")[:_LEARNT_VIDEOS]
    made = Segment.objects.filter(video__in=newest, cost_s__gte=_LEARNT_COST, wall_ms__gt=0)
    found = made.annotate(pace=F("wall_ms") / 1000.0 / F("cost_s")).order_by("-made_at").values_list("pace", flat=True)
    paces: list[float] = list(found[:_LEARNT_SEGMENTS])
    return statistics.median([*paces, *[1.0] * _TABLE_SEGMENTS])


def list_videos(
    *, portfolio_id: UUID | None = None, policy_id: UUID | None = None, asset_id: UUID | None = None
) -> QuerySet[Video]:
    """Return the tenant's videos: of one portfolio, about a policy, about an asset, where these are given."""
    videos = Video.objects.filter(portfolio__in=core.list_portfolios(), deleted_at__isnull=True)
    wanted = {"portfolio_id": portfolio_id, "policy_id": policy_id, "asset_id": asset_id}
    return videos.filter(**{name: value for name, value in wanted.items() if value is not None})


def get_video(*, video_id: UUID) -> Video:
    """Return one video.

    Raises:
        Video.DoesNotExist: not this tenant's, or deleted.
    """
    return list_videos().select_related("policy", "asset").get(id=video_id)


def video_to_delete(*, portfolio_id: UUID) -> UUID | None:
    """Return one of the videos of a portfolio, being deleted or not; None: there is none."""
    return Video.objects.filter(portfolio_id=portfolio_id).order_by("id").values_list("id", flat=True).first()


def video_count(*, portfolio_id: UUID) -> int:
    """Return how many videos the portfolio has, those being deleted not among them."""
    return Video.objects.filter(portfolio_id=portfolio_id, deleted_at__isnull=True).count()


def folder_of(video: Video) -> str:
    """Return where the files of a video lie."""
    return f"{video.tenant_id}/{video.id}/"


def original_key(video: Video) -> str:
    """Return where the file lies as it was sent."""
    return f"{folder_of(video)}original"


def piece_key(video: Video, name: str) -> str:
    """Return where a file lies that the engine calls `name`: pictures by the video's present plan, sound by any."""
    return f"{folder_of(video)}{'sound' if name.startswith('audio-') else video.plan_number}/{name}"


def rendition_key(video: Video, name: str) -> str:
    """Return where a rendition's MP4 lies."""
    return f"{folder_of(video)}{name}.mp4"


def poster_key(video: Video) -> str:
    """Return where the poster lies."""
    return f"{folder_of(video)}poster.jpg"


def captions_key(video: Video, name: str) -> str:
    """Return where captions lie."""
    return f"{folder_of(video)}{name}"


# How far it is.


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work on a video is; times in seconds, of the clock unless it says otherwise.

    `speed`: seconds of video made in a second. `left_s`: what it will still take, an estimate; None: not known yet.
    """

    segments: int
    segments_made: int
    percent: int
    elapsed_s: float | None
    predicted_s: float | None
    speed: float | None
    left_s: float | None


def progress_of(*, video: Video, at: dt.datetime) -> Progress:
    """Return how far it is. What is left is judged by what the segments took so far, by their planned costs."""
    made = Q(made_at__isnull=False)
    found = Segment.objects.filter(video=video).aggregate(
        count=Count("id"),
        made=Count("id", filter=made),
        cost=Sum("cost_s"),
        cost_made=Sum("cost_s", filter=made),
        length_made=Sum("length_s", filter=made),
        first=Max("started_at"),
    )
    end = video.ready_at if video.state == VideoState.READY else at
    elapsed = None if video.asked_at is None or end is None else max((end - video.asked_at).total_seconds(), 0.0)
    cost, cost_made = found["cost"] or 0.0, found["cost_made"] or 0.0
    share = 1.0 if video.state == VideoState.READY else min(cost_made / cost, 0.99) if cost else 0.0
    is_working = video.state == VideoState.WORKING
    return Progress(
        segments=found["count"],
        segments_made=found["made"],
        percent=int(100 * share),
        elapsed_s=elapsed,
        predicted_s=None if video.predicted_ms is None else video.predicted_ms / 1000,
        speed=(found["length_made"] or 0.0) / elapsed if elapsed and found["made"] else None,
        left_s=elapsed * (cost - cost_made) / cost_made if is_working and elapsed and cost_made else None,
    )


def may_retry(*, video: Video) -> bool:
    """Return whether another try may have another end: the file is still there, and isn't what was refused."""
    is_over = video.state in {VideoState.FAILED, VideoState.CANCELLED} and video.original_deleted_at is None
    return is_over and video.error_code not in OF_THE_FILE


def segments_of(*, video: Video) -> list[Segment]:
    """Return the video's segments in order, without what the engine says of them."""
    return list(Segment.objects.filter(video=video).defer("result").order_by("number"))


def preparation_job(*, video: Video) -> "Job | None":
    """Return the job with which the work on the video began, last; None before it did."""
    return jobs.newest_jobs(subject_ids=[video.id], kind=PREPARE).get(video.id)


def plan_of(*, video_id: UUID) -> Plan | None:
    """Return what the engine knows of the video; None before it was inspected."""
    return Plan.objects.filter(video_id=video_id).first()

"""Reading videos, in the open scope. Lists come as querysets in no order, to be paginated."""

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet, Sum

from fatfire.kit.storage import storage
from services.core import queries as core
from services.jobs import queries as jobs
from services.media.jobs import PREPARE
from services.media.models import Allowance, Captions, Plan, Playlist, Rendition, Segment, Video, VideoState
from services.media.refusals import OF_THE_FILE

if TYPE_CHECKING:
    from services.jobs.models import Job

RENDITIONS = ("1080p", "720p", "480p")
ADDRESS_SECONDS = 6 * 3600
"""For so long an address of a file is good: for as long as anyone watches. (A role's credentials may end sooner.)"""
MP4, HLS, VTT, JPEG = "video/mp4", "application/vnd.apple.mpegurl", "text/vtt", "image/jpeg"
_TYPES = {"mp4": MP4, "m4s": "video/iso.segment", "vtt": VTT}
_NAME_IN_TAG = re.compile(r'URI="([^"]+)"')


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


# Playing it.


@dataclass(frozen=True, slots=True)
class Track:
    """Captions to be shown, by their address."""

    url: str
    language: str
    label: str


@dataclass(frozen=True, slots=True)
class Quality:
    """A rendition by its address; `size` in bytes."""

    name: str
    url: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class Playback:
    """What a player needs. `has_playlist`: it can be played by HLS, from the first segment on; addresses expire."""

    has_playlist: bool
    poster: str
    qualities: tuple[Quality, ...]
    captions: tuple[Track, ...]
    expires_s: int = ADDRESS_SECONDS


def playback_of(*, video: Video) -> Playback:
    """Return what there is to play by now."""
    files = storage()

    def address(key: str, content_type: str) -> str:
        return files.url(key, content_type=content_type, expires_s=ADDRESS_SECONDS)

    made = Rendition.objects.filter(video=video, made_at__isnull=False).order_by("-height", "-width")
    texts = Captions.objects.filter(video=video).order_by("name")
    is_ready = video.state == VideoState.READY
    return Playback(
        has_playlist=has_playlist(video=video),
        poster=address(poster_key(video), JPEG) if video.has_poster else "",
        qualities=tuple(
            Quality(each.name, address(rendition_key(video, each.name), MP4), each.width, each.height, each.size or 0)
            for each in (made if is_ready else ())
        ),
        captions=tuple(
            Track(
                address(captions_key(video, each.name), VTT), each.language, each.title or each.language or "Captions"
            )
            for each in texts
        ),
    )


def has_playlist(*, video: Video) -> bool:
    """Return whether the video can be played by HLS: its first segment is there, and its pieces still are."""
    is_kept = video.pieces_deleted_at is None and video.state in {VideoState.WORKING, VideoState.READY}
    return is_kept and Playlist.objects.filter(video=video, name=MASTER).exists()


MASTER = "master.m3u8"


def playlists_of(*, video: Video) -> dict[str, str]:
    """Return all playlists of the video by their names, with addresses in the files' places; none: not by HLS."""
    if not has_playlist(video=video):
        return {}
    signed = _Signed(video)
    return {each.name: signed.text(each.text) for each in Playlist.objects.filter(video=video).order_by("name")}


def playlist(*, video: Video, name: str) -> str:
    """Return a playlist: other playlists by their names, which lie beside it, and files by their addresses.

    Raises:
        Playlist.DoesNotExist: there is none of the name, or not any more.
    """
    if not has_playlist(video=video):
        raise Playlist.DoesNotExist
    return _Signed(video).text(Playlist.objects.get(video=video, name=name).text)


class _Signed:
    """Puts addresses into playlists: one for each file, which is named by each of its ranges."""

    def __init__(self, video: Video) -> None:
        self._video, self._files = video, storage()
        self._addresses: dict[str, str] = {}

    def text(self, text: str) -> str:
        return "\n".join(
            self._address(line)
            if line and not line.startswith("#")
            else _NAME_IN_TAG.sub(lambda found: f'URI="{self._address(found[1])}"', line)
            for line in text.split("\n")
        )

    def _address(self, name: str) -> str:
        kind = name.rpartition(".")[2]
        if kind == "m3u8":
            return name
        if name not in self._addresses:
            key = captions_key(self._video, name) if kind == "vtt" else piece_key(self._video, name)
            self._addresses[name] = self._files.url(key, content_type=_TYPES[kind], expires_s=ADDRESS_SECONDS)
        return self._addresses[name]


# What it cost.

USD_PER_GB_SECOND = Decimal("0.0000166667")
"""Of AWS Lambda on x86, us-east-1. Source: aws.amazon.com/lambda/pricing, read 2026-11."""
WORKER_GB = Decimal("1.769")
"""The memory that comes with one core. Source: docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""


def estimated_usd(*, segments: Collection[Segment]) -> Decimal:
    """Return what these segments would have cost on Lambda, in US dollars to a millionth: an estimate.

    By what they took here, a core each, without requests, storage and transfer.
    """
    seconds = Decimal(sum(each.wall_ms or 0 for each in segments)) / 1000
    return (seconds * WORKER_GB * USD_PER_GB_SECOND).quantize(Decimal("0.000001"))


def plan_of(*, video_id: UUID) -> Plan | None:
    """Return what the engine knows of the video; None before it was inspected."""
    return Plan.objects.filter(video_id=video_id).first()

"""Rows about what the engine found and made, and the engine's words of them: for workers, who have the engine."""

import heapq
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from services.jobs.operations import ClaimedJob
from services.media import queries
from services.media.models import Plan, Playlist, Rendition, Segment, Video
from services.media.operations.transcoding import set_columns, stop_segments

if TYPE_CHECKING:
    from services.media.engine import plan as engine_plan
    from services.media.engine.media import Media
    from services.media.engine.segment import SegmentResult
    from services.media.engine.tracks import TracksResult

_MEASURED = ("cpu_seconds", "wall_seconds", "memory_mb", "fetched_bytes", "requests", "attempts")
"""What a result says of the work and not of what was made: it differs from run to run."""


def wanted_by(allowed: queries.Allowed) -> "engine_plan.Wanted":
    """Return what is made of a video for the scope's tenant, who may have so much."""
    from django.conf import settings

    from services.media.engine.plan import LADDER, Wanted

    return Wanted(
        renditions=tuple(each for each in LADDER if each.name in allowed.renditions),
        parallel=allowed.parallel,
        startup_seconds=settings.MEDIA_WORKER_START_SECONDS,
        pace=queries.pace(),
    )


def keep_media(video: Video, media: "Media") -> None:
    """Write what the file is."""
    from services.media.engine.wire import to_json

    picture = media.video
    width, height = round(picture.width * picture.pixel_aspect), picture.height
    if picture.rotation % 180:
        width, height = height, width
    set_columns(video, seconds=_milli(media.duration), width=width, height=height)
    Plan.objects.update_or_create(video=video, defaults={"media": to_json(media)})


def keep_plan(video: Video, plan: "engine_plan.Plan", wanted: "engine_plan.Wanted") -> None:
    """Write the plan, its segments and its renditions, unless there is one."""
    from services.media.engine.wire import to_json

    if not Plan.objects.filter(video=video, plan__isnull=True).update(plan=to_json(plan)):
        return
    _write_segments(video, plan)
    Rendition.objects.bulk_create(
        Rendition(video=video, name=each.name, width=each.width, height=each.height) for each in plan.outputs
    )
    set_columns(video, seconds=_milli(plan.seconds), predicted_ms=predicted_ms(plan, wanted))


def replan(video: Video, plan: "engine_plan.Plan", job: ClaimedJob) -> None:
    """Put a plan of one piece in the place of a held video's; sound, captions and poster stay."""
    from services.media.engine.wire import to_json

    stop_segments(video, at=job.clock(), but=job.id)
    Segment.objects.filter(video=video).delete()
    names = [f"{output.name}.m3u8" for output in plan.outputs]
    Playlist.objects.filter(video=video, name__in=[*names, queries.MASTER]).delete()
    Plan.objects.filter(video=video).update(plan=to_json(plan))
    set_columns(video, plan_number=video.plan_number + 1)
    _write_segments(video, plan)


def _write_segments(video: Video, plan: "engine_plan.Plan") -> None:
    unit = plan.media.video.time_base
    begin = plan.segments[0].start
    Segment.objects.bulk_create(
        Segment(
            video=video,
            number=each.number,
            start_s=float((each.start - begin) * unit),
            length_s=float((each.end - each.start) * unit) or float(plan.media.duration),
            cost_s=each.cost,
        )
        for each in plan.segments
    )


def predicted_ms(plan: "engine_plan.Plan", wanted: "engine_plan.Wanted") -> int:
    """Return how long the work on a plan will take, in milliseconds: each piece goes to whoever is free first."""
    free_at = [0.0] * wanted.parallel
    for segment in plan.segments:
        heapq.heapreplace(free_at, free_at[0] + wanted.startup_seconds + wanted.pace * segment.cost)
    # One start each before the segments (inspection) and after them (the MP4), which is nearly all they take.
    return round(1000 * (max(free_at) + 2 * wanted.startup_seconds))


def keep_picture_playlists(video: Video) -> None:
    """Write the playlists of the pictures, as far as there are segments to play, and the one that names all."""
    from services.media.engine import playlist
    from services.media.engine.plan import Plan as EnginePlan
    from services.media.engine.wire import from_json

    row = Plan.objects.get(video=video)
    if row.plan is None or row.tracks is None:
        return
    plan, tracks, results = from_json(EnginePlan, row.plan), tracks_of(row), results_of(video)
    ready = playlist.playable(plan, results)
    if not ready:
        return
    for output in plan.outputs:
        keep_playlist(video, f"{output.name}.m3u8", playlist.picture_playlist(plan, output, ready, str))
    keep_playlist(video, queries.MASTER, playlist.master_playlist(plan, ready, tracks.audio, tracks.captions, str))


def keep_playlist(video: Video, name: str, text: str) -> None:
    """Write a playlist, in place of one of the name."""
    Playlist.objects.update_or_create(video=video, name=name, defaults={"text": text})


def results_of(video: Video) -> "list[SegmentResult]":
    """Return what the video's segments are, those that are made, in order."""
    from services.media.engine.segment import SegmentResult

    made = Segment.objects.filter(video=video, made_at__isnull=False).order_by("number")
    return [_result(SegmentResult, each) for each in made.values_list("result", flat=True)]


def tracks_of(row: Plan) -> "TracksResult":
    """Return what the video's sound tracks and captions are."""
    from services.media.engine.tracks import TracksResult

    return _result(TracksResult, row.tracks)


def without_measures(result: Any) -> dict[str, Any]:
    """Return a result as it is kept: nothing that would differ if it were made once more."""
    return {name: value for name, value in cast("dict[str, Any]", result).items() if name not in _MEASURED}


def _result[T](kind: type[T], kept: Any) -> T:
    """Return the engine's result of what `_without_measures` left, with nothing measured."""
    from services.media.engine.wire import from_json

    fields = cast("Any", kind).__dataclass_fields__
    return from_json(kind, {**{name: 0 for name in _MEASURED if name in fields}, **kept})


def _milli(seconds: Fraction) -> str:
    return f"{float(seconds):.3f}"

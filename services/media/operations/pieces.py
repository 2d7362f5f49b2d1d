"""The pieces of the work on a video, each one run of a job: read, made in the engine's confined child, written.

Only workers call these, so only they need the engine's libraries: it is imported where it is used. No transaction is
open while a file is read, made or written. What was made while the video was stopped, planned anew or deleted isn't
written into any row; its files lie where deletion and tidying find them.
"""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from fatfire.kit.errors import DomainError, TransientError
from fatfire.kit.storage import storage
from services.jobs.operations import ClaimedJob
from services.media import queries
from services.media.models import Captions, Plan, Playlist, Rendition, Segment, State, Video
from services.media.operations.refusals import SENTENCES
from services.media.operations.transcoding import advance, end, hold_working, set_columns
from tenants.isolation import tenant

if TYPE_CHECKING:
    from services.media.engine import plan as engine_plan
    from services.media.engine.media import Media
    from services.media.engine.segment import SegmentResult
    from services.media.engine.tracks import TracksResult

_REPORT_EVERY = dt.timedelta(seconds=2)
_TYPES = {"mp4": queries.MP4, "m4s": "video/iso.segment", "m4a": "audio/mp4", "vtt": queries.VTT, "jpg": queries.JPEG}
_MEASURED = ("cpu_seconds", "wall_seconds", "memory_mb", "fetched_bytes", "requests", "attempts")
"""What a result says of the work and not of what was made: it differs from run to run."""


class VideoRefused(DomainError):
    """The video can't be used."""

    status = 422

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.code = reason  # type: ignore[misc]  # an error's own, where others have their class's


class EngineCrashed(TransientError):
    """The work on the video broke off."""

    code = "crashed"


@dataclass(frozen=True, slots=True)
class _Original:
    """The file as the engine reads it."""

    key: str
    size: int

    def read_range(self, start: int, length: int) -> bytes:
        return storage().read_range(self.key, start, length)


def run_prepare(*, job: ClaimedJob) -> dict[str, Any]:
    """Look at the file, and plan the work where the file's own index says all; ask for what comes next. Repeatable.

    Raises:
        VideoRefused: it isn't a video, or not one that we take.
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import sandbox
    from services.media.engine.limits import USUAL_LIMITS

    video = _video(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        allowed = queries.allowed()
    source = _Original(queries.original_key(video), video.size or 0)
    limits = replace(USUAL_LIMITS, bytes=allowed.max_bytes, seconds=allowed.max_seconds)
    with _refusing(job, video):
        media = sandbox.inspect(source=source, limits=limits)
        with tenant(job.tenant):
            job.progress.report(1, 2, note="Planning")
        plan = (
            sandbox.plan(source=source, media=media, wanted=_wanted(allowed), limits=limits) if media.indexed else None
        )
    with _written(job, video) as (held, working):
        if held is not None:
            _keep_media(held, media)
            if plan is not None:
                _keep_plan(held, plan, allowed)
            job.progress.report(2, 2)
            advance(working, at=job.clock())
    return {"seconds": round(float(media.duration), 3), "segments": len(plan.segments) if plan else 0}


def run_tracks(*, job: ClaimedJob) -> dict[str, Any]:
    """Make the sound tracks and captions, and the plan where the file's own index doesn't say all. Repeatable.

    Raises:
        VideoRefused: there are no pictures, too many, or too long.
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import playlist, sandbox
    from services.media.engine.limits import USUAL_LIMITS
    from services.media.engine.media import Media
    from services.media.engine.plan import Plan as EnginePlan
    from services.media.engine.wire import from_json, to_json

    video = _video(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        allowed = queries.allowed()
        row = Plan.objects.get(video=video)
    media = from_json(Media, row.media)
    limits = replace(USUAL_LIMITS, bytes=allowed.max_bytes, seconds=allowed.max_seconds)
    with _refusing(job, video):
        made = sandbox.transcode_tracks(
            source=_Original(queries.original_key(video), video.size or 0),
            media=media,
            wanted=_wanted(allowed),
            save=_saver(video),
            progress=_reporter(job, round(float(media.duration))),
            limits=limits,
        )
    with _written(job, video) as (held, working):
        if held is not None:
            # A plan of an earlier pass stays: pieces were made by it.
            row = Plan.objects.get(video=held)
            if row.plan is None and made.plan is not None:
                _keep_plan(held, made.plan, allowed)
            Plan.objects.filter(video=held).update(tracks=_without_measures(to_json(replace(made, plan=None))))
            plan = from_json(EnginePlan, Plan.objects.get(video=held).plan)
            for track in made.audio:
                _keep_playlist(held, f"{track.name}.m3u8", playlist.sound_playlist(plan, track, str))
            for caption in made.captions:
                said = {"language": caption.language[:40], "title": caption.title[:120]}
                Captions.objects.update_or_create(video=held, name=caption.name, defaults=said)
                name = caption.name.removesuffix(".vtt") + ".m3u8"
                _keep_playlist(held, name, playlist.caption_playlist(plan, caption, str))
            _keep_picture_playlists(held)
            job.progress.report(1, 1)
            advance(working, at=job.clock())
    return {"tracks": len(made.audio), "captions": len(made.captions)}


def run_poster(*, job: ClaimedJob) -> dict[str, Any]:
    """Make the poster; a video of which no picture can be made has none. Repeatable.

    Raises:
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import sandbox
    from services.media.engine.media import Media
    from services.media.engine.refusal import Reason, Refused
    from services.media.engine.wire import from_json

    video = _video(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        media = from_json(Media, Plan.objects.get(video=video).media)
    source = _Original(queries.original_key(video), video.size or 0)
    has_poster = True
    try:
        sandbox.make_poster(source=source, media=media, save=_saver(video))
    except Refused as refused:
        if refused.reason is Reason.CRASHED and job.may_retry:
            raise EngineCrashed(refused.detail) from refused
        has_poster = False
    with _written(job, video) as (held, working):
        if held is not None:
            set_columns(held, has_poster=has_poster)
            job.progress.report(1, 1)
            advance(working, at=job.clock())
    return {"poster": has_poster}


def run_segment(*, job: ClaimedJob) -> dict[str, Any]:
    """Make a segment in all renditions. Repeatable: the same bytes each time.

    A video that can't be cut exactly is planned anew as one piece.

    Raises:
        VideoRefused: too much of it is damaged, or it breaks a limit.
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import sandbox
    from services.media.engine.plan import Plan as EnginePlan
    from services.media.engine.plan import unsplit
    from services.media.engine.refusal import Reason, Refused
    from services.media.engine.wire import from_json, to_json

    with tenant(job.tenant):
        segment = Segment.objects.select_related("video").filter(id=job.subject, made_at__isnull=True).first()
        if segment is None or segment.video.state != State.WORKING:
            return {}
        video = segment.video
        plan = from_json(EnginePlan, Plan.objects.get(video=video).plan)
    try:
        with _refusing(job, video):
            made = sandbox.transcode_segment(
                source=_Original(queries.original_key(video), video.size or 0),
                plan=plan,
                number=segment.number,
                save=_saver(video),
                progress=_reporter(job, plan.segments[segment.number].frames or None),
            )
    except Refused as refused:
        if refused.reason is not Reason.INEXACT or not plan.is_exact:
            raise
        with _written(job, video) as (held, working):
            if held is not None:
                _replan(held, unsplit(plan), job)
                advance(working, at=job.clock())
        return {"unsplit": True}
    with _written(job, video) as (held, working):
        if held is not None:
            Segment.objects.filter(id=segment.id, made_at__isnull=True).update(
                made_at=job.clock(),
                started_at=job.started_at,
                result=_without_measures(to_json(made)),
                cpu_ms=round(made.cpu_seconds * 1000),
                wall_ms=round(made.wall_seconds * 1000),
                memory_mb=made.memory_mb,
                fetched_bytes=made.fetched_bytes,
            )
            _keep_picture_playlists(held)
            job.progress.report(made.frames, made.frames)
            advance(working, at=job.clock())
    return {"frames": made.frames, "repeated": len(made.repeated)}


def run_assembly(*, job: ClaimedJob) -> dict[str, Any]:
    """Put a rendition's pieces together into an MP4. Repeatable.

    Raises:
        VideoRefused: the pieces don't fit together.
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import sandbox
    from services.media.engine.plan import Plan as EnginePlan
    from services.media.engine.wire import from_json

    with tenant(job.tenant):
        rendition = Rendition.objects.select_related("video").filter(id=job.subject, made_at__isnull=True).first()
        if rendition is None or rendition.video.state != State.WORKING:
            return {}
        video = rendition.video
        row = Plan.objects.get(video=video)
        plan, tracks = from_json(EnginePlan, row.plan), _tracks(row)
        results = _results(video)
    files = storage()
    loaded = 0
    report = _reporter(job, len(results))

    def load(name: str) -> bytes:
        nonlocal loaded
        loaded += 1
        report(loaded)
        return files.read(queries.piece_key(video, name))

    with tempfile.TemporaryFile() as file:
        with _refusing(job, video):
            sandbox.assemble(
                plan=plan, output=rendition.name, results=results, audio=tracks.audio, load=load, file=file
            )
        size = file.seek(0, 2)
        files.put_file(queries.rendition_key(video, rendition.name), file, queries.MP4)
    with _written(job, video) as (held, working):
        if held is not None:
            Rendition.objects.filter(id=rendition.id).update(size=size, made_at=job.clock())
            job.progress.report(1, 1)
            advance(working, at=job.clock())
    return {"bytes": size}


def _video(job: ClaimedJob, video_id: UUID) -> Video | None:
    """Return the video while it is worked on."""
    with tenant(job.tenant):
        return Video.objects.filter(id=video_id, state=State.WORKING, deleted_at__isnull=True).first()


@contextmanager
def _written(job: ClaimedJob, video: Video) -> Iterator[tuple[Video | None, dict[UUID, Video]]]:
    """Open the transaction that writes what was made: the video, held; None when it is too late for it."""
    with tenant(job.tenant):
        working = hold_working()
        held = working.get(video.id)
        yield (held if held and held.plan_number == video.plan_number else None), working


@contextmanager
def _refusing(job: ClaimedJob, video: Video) -> Iterator[None]:
    """Let the engine refuse: a refusal ends the work on the video, with the reason; INEXACT goes to the caller."""
    from services.media.engine.refusal import Reason, Refused

    try:
        yield
    except Refused as refused:
        if refused.reason is Reason.INEXACT:
            raise
        if refused.reason is Reason.CRASHED and job.may_retry:
            raise EngineCrashed(refused.detail) from refused
        sentence = SENTENCES[refused.reason]
        with tenant(job.tenant):
            working = hold_working()
            held = working.pop(video.id, None)
            if held is not None:
                end(held, State.FAILED, at=job.clock(), code=refused.reason, detail=sentence, but=job.id)
                advance(working, at=job.clock())
        raise VideoRefused(refused.reason, sentence) from refused


def _reporter(job: ClaimedJob, total: int | None) -> Callable[[int], None]:
    """Return what reports progress, now and then: it asks the database whether to go on, too."""
    last = job.clock()

    def report(done: int) -> None:
        nonlocal last
        if job.clock() - last >= _REPORT_EVERY:
            with tenant(job.tenant):
                job.progress.report(done, total)
            last = job.clock()

    return report


def _saver(video: Video) -> Callable[[str, bytes], None]:
    """Return what keeps the engine's files."""
    files = storage()

    def save(name: str, content: bytes) -> None:
        kind = name.rpartition(".")[2]
        key = queries.piece_key(video, name)
        if kind == "vtt":
            key = queries.captions_key(video, name)
        elif kind == "jpg":
            key = queries.poster_key(video)
        files.put(key, content, _TYPES[kind])

    return save


def _wanted(allowed: queries.Allowed) -> "engine_plan.Wanted":
    from django.conf import settings

    from services.media.engine.plan import LADDER, Wanted

    renditions = tuple(each for each in LADDER if each.name in allowed.renditions)
    return Wanted(renditions, parallel=allowed.parallel, startup_seconds=settings.MEDIA_WORKER_START_SECONDS)


def _keep_media(video: Video, media: "Media") -> None:
    from services.media.engine.wire import to_json

    picture = media.video
    width, height = round(picture.width * picture.pixel_aspect), picture.height
    if picture.rotation % 180:
        width, height = height, width
    set_columns(video, seconds=_milli(media.duration), width=width, height=height)
    Plan.objects.update_or_create(video=video, defaults={"media": to_json(media)})


def _keep_plan(video: Video, plan: "engine_plan.Plan", allowed: queries.Allowed) -> None:
    """Write the plan, its segments and its renditions, unless there is one."""
    from services.media.engine.wire import to_json

    if not Plan.objects.filter(video=video, plan__isnull=True).update(plan=to_json(plan)):
        return
    _write_segments(video, plan)
    Rendition.objects.bulk_create(
        Rendition(video=video, name=each.name, width=each.width, height=each.height) for each in plan.outputs
    )
    set_columns(video, seconds=_milli(plan.seconds), predicted_ms=predicted_ms(plan, allowed.parallel))


def _replan(video: Video, plan: "engine_plan.Plan", job: ClaimedJob) -> None:
    """Put a plan of one piece in the place of a held video's; sound, captions and poster stay."""
    from services.media.engine.wire import to_json
    from services.media.operations.transcoding import stop_segments

    stop_segments(video, at=job.clock(), but=job.id)
    Segment.objects.filter(video=video).delete()
    names = [f"{output.name}.m3u8" for output in plan.outputs]
    Playlist.objects.filter(video=video, name__in=[*names, queries.MASTER]).delete()
    Plan.objects.filter(video=video).update(plan=to_json(plan))
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


def predicted_ms(plan: "engine_plan.Plan", parallel: int) -> int:
    """Return how long the work on a plan will take, in milliseconds: each piece goes to whoever is free first."""
    from django.conf import settings

    free_at = [0.0] * parallel
    for segment in plan.segments:
        first = min(range(parallel), key=free_at.__getitem__)
        free_at[first] += settings.MEDIA_WORKER_START_SECONDS + segment.cost
    # One start each before the segments (inspection) and after them (the MP4), which is nearly all they take.
    return round(1000 * (max(free_at) + 2 * settings.MEDIA_WORKER_START_SECONDS))


def _keep_picture_playlists(video: Video) -> None:
    """Write the playlists of the pictures, as far as there are segments to play, and the one that names all."""
    from services.media.engine import playlist
    from services.media.engine.plan import Plan as EnginePlan
    from services.media.engine.wire import from_json

    row = Plan.objects.get(video=video)
    if row.plan is None or row.tracks is None:
        return
    plan, tracks, results = from_json(EnginePlan, row.plan), _tracks(row), _results(video)
    ready = playlist.playable(plan, results)
    if not ready:
        return
    for output in plan.outputs:
        _keep_playlist(video, f"{output.name}.m3u8", playlist.picture_playlist(plan, output, ready, str))
    _keep_playlist(video, queries.MASTER, playlist.master_playlist(plan, ready, tracks.audio, tracks.captions, str))


def _keep_playlist(video: Video, name: str, text: str) -> None:
    Playlist.objects.update_or_create(video=video, name=name, defaults={"text": text})


def _results(video: Video) -> "list[SegmentResult]":
    from services.media.engine.segment import SegmentResult

    made = Segment.objects.filter(video=video, made_at__isnull=False).order_by("number")
    return [_result(SegmentResult, each) for each in made.values_list("result", flat=True)]


def _tracks(row: Plan) -> "TracksResult":
    from services.media.engine.tracks import TracksResult

    return _result(TracksResult, row.tracks)


def _without_measures(result: Any) -> dict[str, Any]:
    return {name: value for name, value in cast("dict[str, Any]", result).items() if name not in _MEASURED}


def _result[T](kind: type[T], kept: Any) -> T:
    """Return the engine's result of what `_without_measures` left, with nothing measured."""
    from services.media.engine.wire import from_json

    fields = cast("Any", kind).__dataclass_fields__
    return from_json(kind, {**{name: 0 for name in _MEASURED if name in fields}, **kept})


def _milli(seconds: Fraction) -> str:
    return f"{float(seconds):.3f}"

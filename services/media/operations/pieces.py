"""The pieces of the work on a video, each one run of a job: read, made in the engine's confined child, written.

Only workers call these, so only they need the engine's libraries: it is imported where it is used. No transaction is
open while a file is read, made or written. What was made while the video was stopped, planned anew or deleted isn't
written into any row; its files lie where deletion and tidying find them.
"""

import tempfile
from dataclasses import replace
from typing import Any

from fatfire.kit.storage import storage
from services.jobs.operations import ClaimedJob
from services.media import queries
from services.media.models import Captions, Plan, Rendition, Segment, VideoState
from services.media.operations.attempt import EngineCrashed, Original, refusing, reporter, saver, video_of, written
from services.media.operations.made import (
    keep_media,
    keep_picture_playlists,
    keep_plan,
    keep_playlist,
    replan,
    results_of,
    tracks_of,
    wanted_by,
    without_measures,
)
from services.media.operations.transcoding import advance, set_columns
from tenants.isolation import tenant


def run_prepare(*, job: ClaimedJob) -> dict[str, Any]:
    """Look at the file, and plan the work where the file's own index says all; ask for what comes next. Repeatable.

    Raises:
        VideoRefused: it isn't a video, or not one that we take.
        StorageUnavailable, EngineCrashed: try again later.
    """
    from services.media.engine import sandbox
    from services.media.engine.limits import USUAL_LIMITS

    video = video_of(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        allowed = queries.allowed()
        wanted = wanted_by(allowed)
    source = Original(queries.original_key(video), video.size or 0)
    limits = replace(USUAL_LIMITS, bytes=allowed.max_bytes, seconds=allowed.max_seconds)
    with refusing(job, video):
        prepared = sandbox.prepare(source=source, wanted=wanted, limits=limits)
    media, plan = prepared.media, prepared.plan
    with written(job, video) as (held, working):
        if held is not None:
            keep_media(held, media)
            if plan is not None:
                keep_plan(held, plan, wanted)
            job.progress.report(1, 1)
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

    video = video_of(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        allowed = queries.allowed()
        wanted = wanted_by(allowed)
        row = Plan.objects.get(video=video)
    media = from_json(Media, row.media)
    limits = replace(USUAL_LIMITS, bytes=allowed.max_bytes, seconds=allowed.max_seconds)
    with refusing(job, video):
        made = sandbox.transcode_tracks(
            source=Original(queries.original_key(video), video.size or 0),
            media=media,
            wanted=wanted,
            save=saver(video),
            progress=reporter(job, round(float(media.duration))),
            limits=limits,
        )
    with written(job, video) as (held, working):
        if held is not None:
            # A plan of an earlier pass stays: pieces were made by it.
            row = Plan.objects.get(video=held)
            if row.plan is None and made.plan is not None:
                keep_plan(held, made.plan, wanted)
            Plan.objects.filter(video=held).update(tracks=without_measures(to_json(replace(made, plan=None))))
            plan = from_json(EnginePlan, Plan.objects.get(video=held).plan)
            for track in made.audio:
                keep_playlist(held, f"{track.name}.m3u8", playlist.sound_playlist(plan, track, str))
            for caption in made.captions:
                said = {"language": caption.language[:40], "title": caption.title[:120]}
                Captions.objects.update_or_create(video=held, name=caption.name, defaults=said)
                name = caption.name.removesuffix(".vtt") + ".m3u8"
                keep_playlist(held, name, playlist.caption_playlist(plan, caption, str))
            keep_picture_playlists(held)
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
    from services.media.engine.refusal import Refused
    from services.media.engine.wire import from_json

    video = video_of(job, job.subject)
    if video is None:
        return {}
    with tenant(job.tenant):
        media = from_json(Media, Plan.objects.get(video=video).media)
    source = Original(queries.original_key(video), video.size or 0)
    has_poster = True
    try:
        sandbox.make_poster(source=source, media=media, save=saver(video))
    except Refused as refused:
        if refused.reason.may_pass and job.may_retry:
            raise EngineCrashed(refused.detail) from refused
        has_poster = False
    with written(job, video) as (held, working):
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
        if segment is None or segment.video.state != VideoState.WORKING:
            return {}
        video = segment.video
        plan = from_json(EnginePlan, Plan.objects.get(video=video).plan)
    try:
        with refusing(job, video):
            made = sandbox.transcode_segment(
                source=Original(queries.original_key(video), video.size or 0),
                plan=plan,
                number=segment.number,
                save=saver(video),
                progress=reporter(job, plan.segments[segment.number].frames or None),
            )
    except Refused as refused:
        if refused.reason is not Reason.INEXACT or not plan.is_exact:
            raise
        with written(job, video) as (held, working):
            if held is not None:
                job.progress.require_claim()
                replan(held, unsplit(plan), job)
                advance(working, at=job.clock())
        return {"unsplit": True}
    with written(job, video) as (held, working):
        if held is not None:
            Segment.objects.filter(id=segment.id, made_at__isnull=True).update(
                made_at=job.clock(),
                started_at=job.started_at,
                result=without_measures(to_json(made)),
                cpu_ms=round(made.cpu_seconds * 1000),
                wall_ms=round(made.wall_seconds * 1000),
                memory_mb=made.memory_mb,
                fetched_bytes=made.fetched_bytes,
            )
            keep_picture_playlists(held)
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
        if rendition is None or rendition.video.state != VideoState.WORKING:
            return {}
        video = rendition.video
        row = Plan.objects.get(video=video)
        plan, tracks = from_json(EnginePlan, row.plan), tracks_of(row)
        results = results_of(video)
    files = storage()
    loaded = 0
    report = reporter(job, len(results))

    def load(name: str) -> bytes:
        nonlocal loaded
        loaded += 1
        report(loaded)
        return files.read(queries.piece_key(video, name))

    with tempfile.TemporaryFile() as file:
        with refusing(job, video):
            sandbox.assemble(
                plan=plan, output=rendition.name, results=results, audio=tracks.audio, load=load, file=file
            )
        size = file.seek(0, 2)
        files.put_file(queries.rendition_key(video, rendition.name), file, queries.MP4)
    with written(job, video) as (held, working):
        if held is not None:
            Rendition.objects.filter(id=rendition.id).update(size=size, made_at=job.clock())
            job.progress.report(1, 1)
            advance(working, at=job.clock())
    return {"bytes": size}

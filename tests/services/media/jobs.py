"""For the guard of the jobs: how each kind of the media service's is queued with something to do."""

import datetime as dt
import os
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings

from fatfire.kit.storage import storage
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind
from services.jobs.models import Job
from services.media import operations, queries
from services.media.engine import sandbox
from services.media.engine.media import Media
from services.media.engine.plan import LADDER, Plan, Wanted
from services.media.engine.reader import FileSource
from services.media.engine.segment import SegmentResult
from services.media.engine.tracks import TracksResult
from services.media.engine.wire import to_json
from services.media.jobs import (
    ASSEMBLE,
    DELETE_STRAYS,
    DELETE_VIDEO,
    MAKE_POSTER,
    MAKE_SEGMENT,
    MAKE_TRACKS,
    PREPARE,
    TIDY,
)
from services.media.models import Plan as PlanRow
from services.media.models import Segment, Video, VideoState
from services.media.operations import made
from services.media.operations.transcoding import advance, hold_working
from tenants.isolation import operator, tenant
from tests.factories import AT
from tests.services.media.engine.inputs import Sound, make, small
from tests.services.media.rows import arrived, make_video, ready_video

_LONG_AGO = AT - dt.timedelta(days=200)


@cache
def _content() -> bytes:
    """Return the shortest clip that has all: a tenth of the work of the others."""
    options = {"preset": "ultrafast", "g": "15", "threads": "1"}
    return make(small("short", frames=15, size=(64, 48), options=options, sounds=(Sound(0.5),)))


@cache
def _media_and_plan() -> tuple[Media, Plan]:
    """Return what the engine says of the clip; it is asked once."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(_content())
        with FileSource(Path(file.name)) as source:
            prepared = sandbox.prepare(source=source, wanted=Wanted(LADDER, parallel=2, startup_seconds=0.0))
    assert prepared.plan is not None
    return prepared.media, prepared.plan


@cache
def _all_made() -> tuple[TracksResult, SegmentResult, dict[str, bytes]]:
    """Return what the engine makes of the clip, and its files."""
    media, plan = _media_and_plan()
    files: dict[str, bytes] = {}
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(_content())
        wanted = Wanted(LADDER, parallel=2)
        with FileSource(Path(file.name)) as source:
            tracks = sandbox.transcode_tracks(source=source, media=media, wanted=wanted, save=files.__setitem__)
            segment = sandbox.transcode_segment(source=source, plan=plan, number=0, save=files.__setitem__)
    return tracks, segment, files


def _prepare(tenant_id: UUID) -> Video:
    """Return a video that was inspected and planned: in one segment."""
    video = arrived(tenant_id, _content())
    media, plan = _media_and_plan()
    with tenant(tenant_id):
        Job.objects.all().delete()
        working = hold_working()
        made.keep_media(working[video.id], media)
        made.keep_plan(working[video.id], plan, made.wanted_by(queries.allowed()))
        advance(working, at=AT)
        return queries.get_video(video_id=video.id)


def _job_of(kind: JobKind, tenant_id: UUID) -> UUID:
    with tenant(tenant_id):
        return Job.objects.get(kind=kind.name).id


def _arrival(tenant_id: UUID) -> UUID:
    arrived(tenant_id, _content())
    return _job_of(PREPARE, tenant_id)


def _prepared(kind: JobKind, tenant_id: UUID) -> UUID:
    _prepare(tenant_id)
    return _job_of(kind, tenant_id)


def _all_but_the_mp4(tenant_id: UUID) -> UUID:
    video = _prepare(tenant_id)
    tracks, segment, files = _all_made()
    for name, content in files.items():
        storage().put(queries.piece_key(video, name), content, "")
    with tenant(tenant_id):
        Job.objects.all().delete()
        Segment.objects.update(made_at=AT, started_at=AT, result=made.without_measures(to_json(segment)))
        PlanRow.objects.update(tracks=made.without_measures(to_json(tracks)))
        Video.objects.update(has_poster=False)
        advance(hold_working(), at=AT)
    return _job_of(ASSEMBLE, tenant_id)


def _deletion(tenant_id: UUID) -> UUID:
    video = _prepare(tenant_id)
    with tenant(tenant_id):
        operations.delete_video(video_id=video.id, at=AT)
    return _job_of(DELETE_VIDEO, tenant_id)


def _old_and_left(tenant_id: UUID) -> UUID:
    """Queue the tidying: an upload that nobody finished, a video of long ago, and one whose worker died."""
    arrived(tenant_id, _content())
    with tenant(tenant_id):
        Job.objects.all().delete()
        unsent, old = make_video(), ready_video()
        Video.objects.filter(id=unsent.id).update(created_at=_LONG_AGO)
        Video.objects.filter(id=old.id).update(state=VideoState.READY, asked_at=_LONG_AGO, ready_at=_LONG_AGO)
    for name in ("original", "0/480p/00000.m4s", "480p.mp4"):
        storage().put(f"{queries.folder_of(old)}{name}", b"old", "")
    with operator():
        return jobs.enqueue(kind=TIDY, at=AT).id


def _strays(tenant_id: UUID) -> UUID:
    """Queue the search for files of nobody: one is old, one is young, one is somebody's."""
    with tenant(tenant_id):
        kept = queries.original_key(make_video())
    old, young = f"{tenant_id}/{uuid4()}/original", f"{tenant_id}/{uuid4()}/late"
    for key, at in ((kept, _LONG_AGO), (old, _LONG_AGO), (young, AT)):
        storage().put(key, b"12345678", "")
        os.utime(Path(settings.MEDIA_FOLDER, "files", key), (at.timestamp(), at.timestamp()))
    with operator():
        return jobs.enqueue(kind=DELETE_STRAYS, at=AT).id


SCENARIOS: dict[str, Callable[[UUID], UUID]] = {
    PREPARE.name: _arrival,
    MAKE_TRACKS.name: partial(_prepared, MAKE_TRACKS),
    MAKE_POSTER.name: partial(_prepared, MAKE_POSTER),
    MAKE_SEGMENT.name: partial(_prepared, MAKE_SEGMENT),
    ASSEMBLE.name: _all_but_the_mp4,
    DELETE_VIDEO.name: _deletion,
    TIDY.name: _old_and_left,
    DELETE_STRAYS.name: _strays,
}

"""What comes after what: a video's rows are the plan of the work on it, and `advance` asks for what they lack.

Every piece of work ends by writing its rows and advancing, in one transaction in which it holds all of the tenant's
videos that are being worked on. So whoever comes last sees all the others, and each thing is asked for once; a message
that comes twice, a worker that dies and a piece that is made again change nothing.
"""

import contextlib
import datetime as dt
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from fatfire.kit.errors import DomainError
from services.jobs import operations as jobs
from services.jobs import queries as job_queries
from services.jobs.jobs import JobKind
from services.media import queries
from services.media.jobs import ASSEMBLE, MAKE_POSTER, MAKE_SEGMENT, MAKE_TRACKS, PREPARE
from services.media.models import Rendition, Segment, Video, VideoState
from tenants import audit
from tenants.models import Tenant

_SUCCEEDED = "succeeded"
_KINDS = [kind.name for kind in (PREPARE, MAKE_TRACKS, MAKE_POSTER, MAKE_SEGMENT, ASSEMBLE)]


class NotBeingPrepared(DomainError):
    """The video isn't being prepared."""

    code = "not_being_prepared"


class NotToBeTriedAgain(DomainError):
    """The video can't be prepared again: it is ready or on the way, or its file isn't there any more."""

    code = "not_to_be_tried_again"


def hold_allowance() -> None:
    """Let nobody else count the tenant's videos, or what is done of them at once, before the transaction ends."""
    Tenant.objects.select_for_update(no_key=True).get()


def hold_working() -> dict[UUID, Video]:
    """Return the tenant's videos that are being worked on, none of which changes before the transaction ends.

    In the order of their ids, since several hold several. What they share is how much may be done at once.
    """
    hold_allowance()
    working = Video.objects.select_for_update(no_key=True, of=("self",)).filter(state=VideoState.WORKING)
    return {video.id: video for video in working.filter(deleted_at__isnull=True).order_by("id")}


def advance(working: dict[UUID, Video], *, at: dt.datetime) -> None:
    """Ask for all that the held videos lack and may have now; a video that lacks nothing is ready. Repeatable."""
    videos = sorted(working.values(), key=lambda video: (video.asked_at or at, video.id))
    free = queries.allowed().parallel - _open_segments(videos)
    for video in videos:
        free = _advance_one(video, free, at)


def cancel_transcode(*, video_id: UUID, at: dt.datetime) -> Video:
    """Stop all work on the video; what it has made is kept for whoever tries again.

    Raises:
        Video.DoesNotExist: not this tenant's.
        NotBeingPrepared: nothing is being done.
    """
    queries.get_video(video_id=video_id)
    working = hold_working()
    video = working.pop(video_id, None)
    if video is None:
        raise NotBeingPrepared
    end(video, VideoState.CANCELLED, at=at)
    advance(working, at=at)  # others may have its turn
    audit.record(action="cancel", subject="video", subject_id=video_id, at=at, title=video.title)
    return video


def retry_transcode(*, video_id: UUID, at: dt.datetime) -> Video:
    """Go on with the work on a video that failed or was stopped, from what is made already.

    Raises:
        Video.DoesNotExist: not this tenant's.
        NotToBeTriedAgain: it is ready or on the way, or its file isn't there any more.
    """
    queries.get_video(video_id=video_id)
    stopped = Video.objects.filter(
        id=video_id, state__in=[VideoState.FAILED, VideoState.CANCELLED], original_deleted_at__isnull=True
    )
    if not stopped.update(state=VideoState.WORKING, error_code="", error_detail="", asked_at=at, ready_at=None):
        raise NotToBeTriedAgain
    working = hold_working()
    advance(working, at=at)
    audit.record(action="retry", subject="video", subject_id=video_id, at=at, title=working[video_id].title)
    return working[video_id]


def advance_all(*, at: dt.datetime) -> None:
    """Advance the tenant's videos: for the schedule, which finds what no worker lived to say."""
    working = hold_working()
    if working:
        advance(working, at=at)


def end(
    video: Video, state: VideoState, *, at: dt.datetime, code: str = "", detail: str = "", but: UUID | None = None
) -> None:
    """End the work on a held video so, and the jobs that do it; but for that one, the caller's own."""
    set_columns(video, state=state, error_code=code, error_detail=detail[:500])
    stop_jobs(video, at=at, but=but)


def stop_jobs(video: Video, *, at: dt.datetime, but: UUID | None = None) -> None:
    """Cancel all open jobs that make something of the video, but for that one."""
    subjects = [video.id, *_ids(Segment, video), *_ids(Rendition, video)]
    _cancel(subjects, _KINDS, at=at, but=but)


def stop_segments(video: Video, *, at: dt.datetime, but: UUID | None = None) -> None:
    """Cancel all open jobs that make a segment of the video, but for that one."""
    _cancel(list(_ids(Segment, video)), [MAKE_SEGMENT.name], at=at, but=but)


def _cancel(subjects: list[UUID], kinds: list[str], *, at: dt.datetime, but: UUID | None) -> None:
    making = job_queries.list_jobs().filter(subject_id__in=subjects, kind__in=kinds, finished_at__isnull=True)
    if but is not None:
        making = making.exclude(id=but)
    for job_id in making.order_by("id").values_list("id", flat=True):
        with contextlib.suppress(jobs.JobNotOpen):  # it ended a moment ago
            jobs.cancel_job(job_id=job_id, at=at)


def set_columns(video: Video, **values: Any) -> None:
    """Write columns of a held video."""
    for name, value in values.items():
        setattr(video, name, value)
    Video.objects.filter(id=video.id).update(**values)


def _advance_one(video: Video, free: int, at: dt.datetime) -> int:
    """Ask for what the video lacks, `free` segments at most; return how many more others may ask for."""
    wanted, segments = _lacking(video)
    if not wanted and not segments:
        set_columns(video, state=VideoState.READY, ready_at=at)
        return free
    asked_at = video.asked_at or at
    for kind, subjects in {**wanted, MAKE_SEGMENT: segments}.items():
        newest = job_queries.newest_jobs(subject_ids=subjects, kind=kind)
        for subject in subjects:
            job = newest.get(subject)
            if job is not None and job.finished_at is None:
                continue
            if job is not None and job.finished_at and job.state != _SUCCEEDED and job.finished_at > asked_at:
                is_failed = bool(job.error_code)
                state = VideoState.FAILED if is_failed else VideoState.CANCELLED
                end(video, state, at=at, code=job.error_code, detail=job.error_detail)
                return free
            if kind is MAKE_SEGMENT:
                if free <= 0:
                    break
                free -= 1
            jobs.enqueue(kind=kind, subject_id=subject, at=at)
    return free


def _lacking(video: Video) -> tuple[dict[JobKind, list[UUID]], list[UUID]]:
    """Return what can be made of the video now, by kind of job, and its segments that aren't made, in order."""
    plan = queries.plan_of(video_id=video.id)
    if plan is None:
        return {PREPARE: [video.id]}, []
    wanted: dict[JobKind, list[UUID]] = {}
    if plan.tracks is None:
        wanted[MAKE_TRACKS] = [video.id]
    if video.has_poster is None:
        wanted[MAKE_POSTER] = [video.id]
    segments = list(_ids(Segment, video).order_by("number"))
    if not segments and plan.plan is not None and plan.tracks is not None:
        renditions = list(_ids(Rendition, video).order_by("name"))
        wanted |= {ASSEMBLE: renditions} if renditions else {}
    return wanted, segments


def _ids(model: type[Segment] | type[Rendition], video: Video) -> QuerySet[Any, UUID]:
    """Return the ids of what isn't made yet."""
    return model.objects.filter(video=video, made_at__isnull=True).values_list("id", flat=True)


def _open_segments(videos: Collection[Video]) -> int:
    """Return how many segments are asked for and not made yet, of all the tenant's videos."""
    missing = Segment.objects.filter(video__in=videos, made_at__isnull=True)
    asked_for = job_queries.list_jobs(kind=MAKE_SEGMENT.name).filter(finished_at__isnull=True)
    return asked_for.filter(subject_id__in=missing.values("id")).count()

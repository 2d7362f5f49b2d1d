"""Videos and their files go: asked for by a person, with their portfolio, or since they were kept for long enough."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from itertools import batched
from uuid import UUID

from django.db import OperationalError
from django.db.models import Q, QuerySet

from fatfire.kit.storage import StorageUnavailable, storage
from services.jobs import operations as jobs
from services.jobs.operations import Progress
from services.media import queries
from services.media.jobs import DELETE_VIDEO
from services.media.models import Video, VideoState
from services.media.operations.transcoding import advance_all, stop_jobs
from tenants import audit
from tenants.isolation import operator, tenant

BATCH = 1000
PIECES_KEPT = dt.timedelta(days=1)
"""After the MP4s are there, for who is still watching by the playlist."""
STRAY_AFTER = dt.timedelta(days=1)
"""A file to which nothing points may be somebody's who is about to point there."""


def delete_video(*, video_id: UUID, at: dt.datetime) -> None:
    """Hide the video at once, stop all work on it, and queue the deletion of its files.

    Raises:
        Video.DoesNotExist: not this tenant's, or deleted before.
    """
    video = queries.list_videos().select_for_update(no_key=True, of=("self",)).get(id=video_id)
    _let_go(video, at=at)
    audit.record(action="delete", subject="video", subject_id=video_id, at=at, title=video.title)


def run_deletion(*, tenant_id: UUID, video_id: UUID, progress: Progress, at: dt.datetime) -> int:
    """Delete the files of a video, and then its row; return how many files went. Outside of a block. Repeatable.

    Raises:
        StorageUnavailable: try again later.
    """
    with tenant(tenant_id):
        video = Video.objects.select_for_update(no_key=True, of=("self",)).filter(id=video_id).first()
        if video is None:
            return 0
        Video.objects.filter(id=video_id, deleted_at__isnull=True).update(deleted_at=at)
        stop_jobs(video, at=at)
    files = storage()
    if video.upload_id:
        files.abort_upload(queries.original_key(video), video.upload_id)
    deleted = 0
    for some in batched((each.key for each in files.list_files(queries.folder_of(video))), BATCH):
        deleted += files.delete(some)
        with tenant(tenant_id):
            progress.report(deleted, note="Deleting files")
    with tenant(tenant_id):
        progress.report(deleted, note="Deleting files")
        Video.objects.filter(id=video_id).delete()
    return deleted


def tidy(*, original_days: int, upload_days: int, progress: Progress, at: dt.datetime) -> dict[str, int]:
    """Go on with videos that were left, and let go of what is old. Across tenants. Repeatable.

    Uploads that were never finished go after `upload_days`, files as they were sent `original_days` after they were
    last worked on, and with them the pieces of what was given up; the pieces of MP4s go after PIECES_KEPT.

    Raises:
        StorageUnavailable: try again later.
        ExceptionGroup: of what nobody expected, after all else was done.
    """
    done = {"advanced": 0, "uploads": 0, "originals": 0, "pieces": 0}
    unexpected: list[Exception] = []
    idle = Video.objects.filter(deleted_at__isnull=True)
    worked_on = idle.filter(state=VideoState.WORKING)
    unsent = idle.filter(state=VideoState.UPLOADING, created_at__lt=at - dt.timedelta(days=upload_days))
    ended = idle.filter(original_deleted_at__isnull=True, asked_at__lt=at - dt.timedelta(days=original_days))
    ended = ended.exclude(state__in=[VideoState.WORKING, VideoState.UPLOADING])
    is_whole = Q(state=VideoState.READY, ready_at__lt=at - PIECES_KEPT)
    is_given_up = Q(state__in=[VideoState.FAILED, VideoState.CANCELLED], original_deleted_at__isnull=False)
    in_pieces = idle.filter(is_whole | is_given_up, pieces_deleted_at__isnull=True)
    for tenant_id in _tenants_of(worked_on):
        with _kept(unexpected), tenant(tenant_id):
            advance_all(at=at)
            done["advanced"] += 1
        _report(progress, done)
    for tenant_id, video_id in _found(unsent):
        with _kept(unexpected), tenant(tenant_id):
            for video in unsent.filter(id=video_id).select_for_update(no_key=True):
                _let_go(video, at=at)
            done["uploads"] += 1
        _report(progress, done)
    for tenant_id, video_id in _found(ended):
        with _kept(unexpected):
            _delete_and_mark(tenant_id, video_id, ended, at=at, column="original_deleted_at", which=_is_original)
            done["originals"] += 1
        _report(progress, done)
    for tenant_id, video_id in _found(in_pieces):
        with _kept(unexpected):
            _delete_and_mark(tenant_id, video_id, in_pieces, at=at, column="pieces_deleted_at", which=_is_piece)
            done["pieces"] += 1
        _report(progress, done)
    if unexpected:
        msg = "some videos could not be tidied"
        raise ExceptionGroup(msg, unexpected)
    return done


def delete_strays(*, progress: Progress, at: dt.datetime) -> int:
    """Delete files of videos that there aren't any more, which a worker wrote too late; return how many.

    Across tenants. Reads the names of all files there are: once a day is enough.

    Raises:
        StorageUnavailable: try again later.
    """
    files, deleted = storage(), 0
    old = (each.key for each in files.list_files("") if each.modified_at < at - STRAY_AFTER)
    for some in batched(old, BATCH):
        owners = {key: owner for key in some if (owner := _owner(key))}
        with operator():
            there = set(Video.objects.filter(id__in=set(owners.values())).values_list("id", flat=True))
            progress.report(deleted, note="Looking for files of nobody")
        deleted += files.delete([key for key, owner in owners.items() if owner not in there])
    return deleted


@contextlib.contextmanager
def _kept(unexpected: list[Exception]) -> Iterator[None]:
    """Keep what nobody expects of one video, so that the others have their turn; what hits all goes on at once."""
    try:
        yield
    except (StorageUnavailable, OperationalError):
        raise
    except Exception as error:  # noqa: BLE001 - raised by the caller, in an ExceptionGroup
        unexpected.append(error)


def _let_go(video: Video, *, at: dt.datetime) -> None:
    Video.objects.filter(id=video.id).update(deleted_at=at)
    stop_jobs(video, at=at)
    jobs.enqueue(kind=DELETE_VIDEO, subject_id=video.id, at=at)


def _report(progress: Progress, done: dict[str, int]) -> None:
    with operator():
        progress.report(sum(done.values()), output=done)


def _tenants_of(videos: QuerySet[Video]) -> list[UUID]:
    with operator():
        return list(videos.order_by("tenant_id").values_list("tenant_id", flat=True).distinct())


def _found(videos: QuerySet[Video]) -> list[tuple[UUID, UUID]]:
    with operator():
        return list(videos.order_by("id").values_list("tenant_id", "id")[:BATCH])


def _delete_and_mark(
    tenant_id: UUID,
    video_id: UUID,
    still: QuerySet[Video],
    *,
    at: dt.datetime,
    column: str,
    which: Callable[[Video, str], bool],
) -> None:
    """Delete some of a video's files, and write down when: where a worker dies between, the next one does.

    Nobody reads them meanwhile: a video whose file may go isn't worked on, and one that is asked for again just now
    fails for want of its file.
    """
    files = storage()
    with tenant(tenant_id):
        video = still.filter(id=video_id).first()
    if video is None:
        return
    found = [each.key for each in files.list_files(queries.folder_of(video)) if which(video, each.key)]
    files.delete(found)
    with tenant(tenant_id):
        Video.objects.filter(id=video_id).update(**{column: at})


def _is_original(video: Video, key: str) -> bool:
    return key == queries.original_key(video)


def _is_piece(video: Video, key: str) -> bool:
    """Return whether it lies in a plan's folder."""
    return "/" in key.removeprefix(queries.folder_of(video))


def _owner(key: str) -> UUID | None:
    """Return the video whose file it is."""
    parts = key.split("/")
    try:
        return UUID(parts[1]) if len(parts) > 2 else None
    except ValueError:
        return None

"""What each run of a piece has in common: the file it reads, where its files go, how it goes on or ends."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from fatfire.kit.errors import DomainError, TransientError
from fatfire.kit.storage import storage
from services.jobs.operations import ClaimedJob
from services.media import queries
from services.media.models import Video, VideoState
from services.media.operations.transcoding import advance, end, hold_working
from services.media.refusals import SENTENCES
from tenants.isolation import tenant

_REPORT_EVERY = dt.timedelta(seconds=2)
_TYPES = {"mp4": queries.MP4, "m4s": "video/iso.segment", "m4a": "audio/mp4", "vtt": queries.VTT, "jpg": queries.JPEG}


class VideoRefused(DomainError):
    """The video can't be used; `code` is the engine's reason where there is one."""

    status, code = 422, "video_refused"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.code = reason  # type: ignore[misc]  # an error's own, where others have their class's


class EngineCrashed(TransientError):
    """The work on the video broke off."""

    code = "crashed"


@dataclass(frozen=True, slots=True)
class Original:
    """The file as the engine reads it."""

    key: str
    size: int

    def read_range(self, start: int, length: int) -> bytes:
        """Return a range of the file."""
        return storage().read_range(self.key, start, length)


def video_of(job: ClaimedJob, video_id: UUID) -> Video | None:
    """Return the video while it is worked on."""
    with tenant(job.tenant):
        return Video.objects.filter(id=video_id, state=VideoState.WORKING, deleted_at__isnull=True).first()


@contextmanager
def written(job: ClaimedJob, video: Video) -> Iterator[tuple[Video | None, dict[UUID, Video]]]:
    """Open the transaction that writes what was made: the video, held; None when it is too late for it."""
    with tenant(job.tenant):
        working = hold_working()
        held = working.get(video.id)
        yield (held if held and held.plan_number == video.plan_number else None), working


@contextmanager
def refusing(job: ClaimedJob, video: Video) -> Iterator[None]:
    """Let the engine refuse: a refusal ends the work on the video, with the reason; INEXACT goes to the caller.

    Not that of a worker who is too late: who has lost the piece, or follows an earlier plan.
    """
    from services.media.engine.refusal import Reason, Refused

    try:
        yield
    except Refused as refused:
        if refused.reason is Reason.INEXACT:
            raise
        if refused.reason.may_pass and job.may_retry:
            raise EngineCrashed(refused.detail) from refused
        sentence = SENTENCES[refused.reason]
        with written(job, video) as (held, working):
            if held is not None:
                job.progress.require_claim()
                del working[held.id]
                end(held, VideoState.FAILED, at=job.clock(), code=refused.reason, detail=sentence, but=job.id)
                advance(working, at=job.clock())
        raise VideoRefused(refused.reason, sentence) from refused


def reporter(job: ClaimedJob, total: int | None) -> Callable[[int], None]:
    """Return what reports progress, now and then: it asks the database whether to go on, too."""
    last = job.clock()

    def report(done: int) -> None:
        nonlocal last
        if job.clock() - last >= _REPORT_EVERY:
            with tenant(job.tenant):
                job.progress.report(done, total)
            last = job.clock()

    return report


def saver(video: Video) -> Callable[[str, bytes], None]:
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

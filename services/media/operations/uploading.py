"""A file comes in: announced, sent in parts straight to the storage, and taken into work."""

import contextlib
import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import UUID

from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.storage import LEAST_PART_BYTES, MOST_PARTS, ObjectMissing, UploadForm, storage
from services.core import operations as core_operations
from services.core import queries as core
from services.media import queries
from services.media.models import Video, VideoState
from services.media.operations.transcoding import advance, hold_allowance, hold_working
from tenants import audit
from tenants.isolation import tenant

PART_BYTES = 8 * 2**20
PARTS_AT_ONCE = 50
PART_SECONDS = 6 * 3600
FORM_SECONDS = 3600
FORM_BYTES = 5 * 10**9
"""What S3 takes of one form."""


class TooManyVideos(DomainError):
    """The household has as many videos as it may."""

    code = "too_many_videos"


class FileTooLarge(DomainError):
    """The file is larger than it may be."""

    status, code = 422, "file_too_large"


class NotUploading(DomainError):
    """The video's file has arrived already."""

    code = "not_uploading"


class UploadNotBegun(DomainError):
    """Say which file is to be sent first: its name and its size."""

    code = "upload_not_begun"


class UploadIncomplete(DomainError):
    """The file hasn't arrived whole yet."""

    code = "upload_incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What a person says of a video; the policy and the asset are of the same portfolio."""

    portfolio_id: UUID
    title: str
    policy_id: UUID | None = None
    asset_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PartToSend:
    """A part that is missing: `size` bytes from `start` on, to be PUT to `url`."""

    number: int
    start: int
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Upload:
    """How far an upload is. `to_send`: the next PARTS_AT_ONCE missing parts at most; none: it can be completed."""

    size: int
    part_bytes: int
    received_bytes: int
    to_send: tuple[PartToSend, ...]


def add_video(*, facts: VideoFacts, at: dt.datetime) -> Video:
    """Announce a video of the open scope's tenant, whose file is to come.

    Raises:
        Portfolio.DoesNotExist, PortfolioBeingDeleted: the portfolio isn't there to have it.
        Policy.DoesNotExist, Asset.DoesNotExist: not of the portfolio.
        TooManyVideos: there are as many as there may be.
    """
    _require_valid(facts)
    hold_allowance()
    if queries.list_videos().count() >= (most := queries.allowed().max_videos):
        raise TooManyVideos(f"There are {most} videos, and more can't be kept. Delete one first.")
    video = Video.objects.create(**asdict(facts), created_at=at)
    audit.record(action="create", subject="video", subject_id=video.id, at=at, title=video.title)
    return video


def update_video(*, video_id: UUID, facts: VideoFacts, at: dt.datetime) -> Video:
    """Replace what is said of the video; repeatable: the same facts again change nothing and leave no event.

    Raises:
        Video.DoesNotExist: not this tenant's.
        Portfolio.DoesNotExist, PortfolioBeingDeleted, Policy.DoesNotExist, Asset.DoesNotExist: as for `add_video`.
    """
    video = queries.list_videos().select_for_update(no_key=True, of=("self",)).get(id=video_id)
    _require_valid(facts)
    changed = {name: value for name, value in asdict(facts).items() if getattr(video, name) != value}
    if changed:
        Video.objects.filter(id=video_id).update(**changed)
        audit.record(action="update", subject="video", subject_id=video_id, at=at, changed=sorted(changed))
    return queries.get_video(video_id=video_id)


def begin_upload(*, tenant_id: UUID, video_id: UUID, file_name: str, size: int) -> Upload:
    """Say which file is to be sent, and return what of it is missing. Outside of a block.

    Repeatable: the same file again goes on from where it was; another one begins anew, and one that the storage has
    forgotten.

    Raises:
        Video.DoesNotExist: not this tenant's.
        NotUploading: its file is there.
        FileTooLarge: it is larger than the tenant's files may be.
        StorageUnavailable: try again later.
    """
    with tenant(tenant_id):
        video = _uploading(video_id)
        most = queries.allowed().max_bytes
    if size > most:
        raise FileTooLarge(f"A file may have {most} bytes; this has {size}.")
    if (video.file_name, video.size) == (file_name, size):
        with contextlib.suppress(UploadNotBegun):
            return upload_of(tenant_id=tenant_id, video_id=video_id)
    files, key = storage(), queries.original_key(video)
    upload_id = files.begin_upload(key)
    with tenant(tenant_id):
        # Of two that begin at once the first is kept; what the other one began is forgotten below.
        unchanged = Video.objects.filter(id=video_id, state=VideoState.UPLOADING, upload_id=video.upload_id)
        part_bytes = max(PART_BYTES, LEAST_PART_BYTES, -(-size // (MOST_PARTS // 2)))
        is_ours = unchanged.update(upload_id=upload_id, file_name=file_name[:200], size=size, part_bytes=part_bytes)
    if superfluous := video.upload_id if is_ours else upload_id:
        files.abort_upload(key, superfluous)
    return upload_of(tenant_id=tenant_id, video_id=video_id)


def upload_of(*, tenant_id: UUID, video_id: UUID) -> Upload:
    """Return how far the upload is, and where to send what is missing. Outside of a block.

    Raises:
        Video.DoesNotExist: not this tenant's.
        NotUploading: its file is there.
        UploadNotBegun: nobody has said which file it is, or the storage has forgotten what had arrived.
        StorageUnavailable: try again later.
    """
    with tenant(tenant_id):
        video = _uploading(video_id)
    if not video.upload_id or video.size is None or video.part_bytes is None:
        raise UploadNotBegun
    files, key = storage(), queries.original_key(video)
    parts = files.uploaded_parts(key, video.upload_id)
    if parts is None:
        if _size_there(video) != video.size:
            raise UploadNotBegun
        return Upload(video.size, video.part_bytes, video.size, ())  # who completed it didn't live to say so
    there = {part.number: part.size for part in parts}
    to_send: list[PartToSend] = []
    received = 0
    for number, start in enumerate(range(0, video.size, video.part_bytes), 1):
        size = min(video.part_bytes, video.size - start)
        if there.get(number) == size:
            received += size
        elif len(to_send) < PARTS_AT_ONCE:
            url = files.part_url(key, video.upload_id, number=number, size=size, expires_s=PART_SECONDS)
            to_send.append(PartToSend(number, start, size, url))
    return Upload(video.size, video.part_bytes, received, tuple(to_send))


def upload_form(*, video: Video, return_to: str) -> UploadForm:
    """Return the form that sends the video's whole file, for a browser without scripts; in the open scope."""
    most = min(queries.allowed().max_bytes, FORM_BYTES)
    key = queries.original_key(video)
    return storage().upload_form(key, most_bytes=most, return_to=return_to, expires_s=FORM_SECONDS)


def complete_upload(*, tenant_id: UUID, video_id: UUID, at: dt.datetime) -> Video:
    """Take the file that has arrived, in parts or by a form, into work. Outside of a block. Repeatable.

    Raises:
        Video.DoesNotExist: not this tenant's.
        UploadIncomplete: parts are missing, or nothing came.
        FileTooLarge: more came than was said.
        StorageUnavailable: try again later.
    """
    with tenant(tenant_id):
        video = queries.get_video(video_id=video_id)
        most = queries.allowed().max_bytes
    if video.state != VideoState.UPLOADING:
        return video
    files, key = storage(), queries.original_key(video)
    if video.upload_id:
        parts = files.uploaded_parts(key, video.upload_id)
        if parts and sum(part.size for part in parts) != video.size:
            raise UploadIncomplete
        if parts:
            files.complete_upload(key, video.upload_id, parts)
        else:  # a form sent it, or an attempt before this one put the parts together
            files.abort_upload(key, video.upload_id)
    size = _size_there(video)
    if size is None:
        raise UploadIncomplete
    if size > most:
        raise FileTooLarge(f"A file may have {most} bytes; this has {size}.")
    with tenant(tenant_id):
        waiting = Video.objects.filter(id=video_id, state=VideoState.UPLOADING, deleted_at__isnull=True)
        if waiting.update(state=VideoState.WORKING, size=size, upload_id="", asked_at=at):
            advance(hold_working(), at=at)
        return queries.get_video(video_id=video_id)


def _uploading(video_id: UUID) -> Video:
    video = queries.get_video(video_id=video_id)
    if video.state != VideoState.UPLOADING:
        raise NotUploading
    return video


def _size_there(video: Video) -> int | None:
    """Return the size of the file that lies in the storage; None: there is none."""
    try:
        return storage().size(queries.original_key(video))
    except ObjectMissing:
        return None


def _require_valid(facts: VideoFacts) -> None:
    core_operations.hold_portfolio(portfolio_id=facts.portfolio_id)
    if facts.asset_id is not None:
        core.list_assets(portfolio_id=facts.portfolio_id).get(id=facts.asset_id)
    if facts.policy_id is not None:
        # Insurance stands above: the key's own model is asked, and not its queries.
        policies = cast("Any", Video._meta.get_field("policy").related_model).objects
        policies.get(id=facts.policy_id, portfolio_id=facts.portfolio_id)
    if not facts.title.strip():
        msg = "Give it a title."
        raise InvalidInput(msg, field="title")

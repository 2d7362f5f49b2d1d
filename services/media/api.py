"""Videos over HTTP. Files go straight to the storage and come straight from it, by addresses that are given here."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.accounts.queries import principal_of
from services.media import operations, playback, queries
from services.media.schemas import FileIn, PlaybackOut, UploadOut, VideoDetail, VideoIn, VideoOut
from tenants.isolation import opens_own_transaction, tenant

router = Router(tags=["Videos"])

_NEWEST_FIRST = ("-created_at", "-id")


@router.get("/videos", response=PageOf[VideoOut])
def list_videos(
    request: HttpRequest,
    page: Query[PageQuery],
    portfolio_id: UUID | None = None,
    policy_id: UUID | None = None,
    asset_id: UUID | None = None,
) -> PageOf[VideoOut]:
    """List videos, newest first."""
    rows = queries.list_videos(portfolio_id=portfolio_id, policy_id=policy_id, asset_id=asset_id)
    found = paginate(rows, order=_NEWEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[VideoOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/videos", response={201: VideoDetail})
def add_video(request: HttpRequest, body: VideoIn) -> Status[VideoDetail]:
    """Announce a video, whose file is to come."""
    video = operations.add_video(facts=body.facts(), at=now())
    return Status(201, _detail(video.id))


@router.get("/videos/{video_id}", response=VideoDetail)
def get_video(request: HttpRequest, video_id: UUID) -> VideoDetail:
    """Show a video and how far the work on it is."""
    return _detail(video_id)


@router.put("/videos/{video_id}", response=VideoDetail)
def update_video(request: HttpRequest, video_id: UUID, body: VideoIn) -> VideoDetail:
    """Replace what is said of a video; it may be repeated."""
    operations.update_video(video_id=video_id, facts=body.facts(), at=now())
    return _detail(video_id)


@router.delete("/videos/{video_id}", response={204: None})
def delete_video(request: HttpRequest, video_id: UUID) -> Status[None]:
    """Delete a video and all its files."""
    operations.delete_video(video_id=video_id, at=now())
    return Status(204, None)


@router.post("/videos/{video_id}/upload", response=UploadOut)
@opens_own_transaction
def begin_upload(request: HttpRequest, video_id: UUID, body: FileIn) -> UploadOut:
    """Say which file is to be sent, and learn where to; the same file again goes on with what is missing."""
    upload = operations.begin_upload(
        tenant_id=principal_of(request).tenant_id,
        video_id=video_id,
        file_name=body.file_name,
        size=body.size,
    )
    return UploadOut.of(upload)


@router.get("/videos/{video_id}/upload", response=UploadOut)
@opens_own_transaction
def get_upload(request: HttpRequest, video_id: UUID) -> UploadOut:
    """Show how far an upload is, and where to send what is missing."""
    return UploadOut.of(operations.upload_of(tenant_id=principal_of(request).tenant_id, video_id=video_id))


@router.post("/videos/{video_id}/complete", response=VideoDetail)
@opens_own_transaction
def complete_upload(request: HttpRequest, video_id: UUID) -> VideoDetail:
    """Take the file that has arrived into work; it may be repeated."""
    tenant_id = principal_of(request).tenant_id
    operations.complete_upload(tenant_id=tenant_id, video_id=video_id, at=now())
    with tenant(tenant_id):
        return _detail(video_id)


@router.post("/videos/{video_id}/cancel", response=VideoDetail)
def cancel_video(request: HttpRequest, video_id: UUID) -> VideoDetail:
    """Stop the work on a video; what is made is kept for another try."""
    operations.cancel_transcode(video_id=video_id, at=now())
    return _detail(video_id)


@router.post("/videos/{video_id}/retry", response=VideoDetail)
def retry_video(request: HttpRequest, video_id: UUID) -> VideoDetail:
    """Go on with the work on a video that failed or was stopped."""
    operations.retry_transcode(video_id=video_id, at=now())
    return _detail(video_id)


@router.get("/videos/{video_id}/playback", response=PlaybackOut)
def get_playback(request: HttpRequest, video_id: UUID) -> PlaybackOut:
    """Show what of a video can be played by now, by addresses that expire."""
    video = queries.get_video(video_id=video_id)
    return PlaybackOut.of(playback.playback_of(video=video), playback.playlists_of(video=video))


def _detail(video_id: UUID) -> VideoDetail:
    video = queries.get_video(video_id=video_id)
    return VideoDetail.with_progress(video, queries.progress_of(video=video, at=now()))

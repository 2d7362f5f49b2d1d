"""For the API's guards: requests about videos that succeed, and how their list gets rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from fatfire.kit.storage import storage
from services.media import queries
from services.media.models import Video, VideoState
from tests.api.document import Request
from tests.factories import AT, make_asset, make_portfolio
from tests.services.insurance.rows import make_policy
from tests.services.media.rows import make_video, ready_video

_FILE = {"file_name": "walk.mp4", "size": 12}


def _video(body: Any = None, **said: Any) -> Request:
    return Request(path={"video_id": _made(**said)}, body=body)


def _made(**said: Any) -> UUID:
    video = make_video()
    Video.objects.filter(id=video.id).update(**said)
    return video.id


def _begun() -> Video:
    """Return a video whose upload has begun."""
    video = make_video()
    with ThreadPoolExecutor(1) as elsewhere:  # this thread's transaction is open, and the storage isn't for it
        upload_id = elsewhere.submit(storage().begin_upload, queries.original_key(video)).result()
    Video.objects.filter(id=video.id).update(file_name="walk.mp4", size=12, part_bytes=12, upload_id=upload_id)
    return video


def _sent() -> Video:
    """Return a video whose file has come by a form."""
    video = make_video()
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(storage().put, queries.original_key(video), b"twelve bytes", "video/mp4").result()
    return video


def _list() -> tuple[Request, Callable[[], object]]:
    portfolio = make_portfolio()
    return Request(query={"portfolio_id": portfolio.id}), lambda: ready_video(portfolio)


def _about() -> dict[str, UUID]:
    """Return the ids of a house and its policy, and of their portfolio."""
    house = make_asset(make_portfolio())
    policy = make_policy(house.portfolio)
    return {"portfolio_id": house.portfolio_id, "policy_id": policy.id, "asset_id": house.id}


_WORKING = {"state": VideoState.WORKING, "size": 12, "asked_at": AT}
_STOPPED = {"state": VideoState.CANCELLED, "size": 12, "asked_at": AT}

REQUESTS: dict[str, Callable[[], Request]] = {
    "list_videos": lambda: Request(query=_about()),
    "add_video": lambda: Request(body={**_about(), "title": "Living room"}),
    "get_video": _video,
    "update_video": lambda: _video({**_about(), "title": "Kitchen"}),
    "delete_video": _video,
    "begin_upload": lambda: _video(_FILE),
    "get_upload": lambda: Request(path={"video_id": _begun().id}),
    "complete_upload": lambda: Request(path={"video_id": _sent().id}),
    "cancel_video": lambda: _video(**_WORKING),
    "retry_video": lambda: _video(**_STOPPED),
    "get_playback": lambda: Request(path={"video_id": ready_video().id}),
}
LISTS = {"list_videos": _list}

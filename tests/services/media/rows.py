"""Videos for tests: announced, sent, and what the guards need of each model."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model

from fatfire.kit.storage import storage
from fatfire.kit.storage.folder import Folder, signed
from services.core.models import Portfolio
from services.media import operations, queries
from services.media.models import Allowance, Captions, Plan, Playlist, Rendition, Segment, Video, VideoState
from services.media.operations import VideoFacts
from tenants.isolation import tenant
from tests.factories import AT, make_asset, make_portfolio
from tests.services.insurance.rows import make_policy
from tests.services.media.engine.inputs import Sound, make, small


@cache
def clip(seconds: float = 6.1, **changes: Any) -> bytes:
    """Return an MP4 of 160 by 90 with a tone: of six seconds, three segments where workers start at once."""
    made = small("clip", frames=round(seconds * 30), sounds=(Sound(seconds),))
    return make(replace(made, **changes))


def make_video(portfolio: Portfolio | None = None, **said: Any) -> Video:
    """Return a video whose file is to come, in the open scope."""
    portfolio = portfolio or Portfolio.objects.filter(name="Family").first() or make_portfolio(name="Family")
    facts = VideoFacts(portfolio_id=portfolio.id, title="Living room")
    return operations.add_video(facts=replace(facts, **said), at=AT)


def send(tenant_id: UUID, video_id: UUID, content: bytes, *, name: str = "walk.mp4") -> None:
    """Send the whole file in parts, as a browser does."""
    upload = operations.begin_upload(tenant_id=tenant_id, video_id=video_id, file_name=name, size=len(content))
    for part in upload.to_send:
        put_part(part.url, content[part.start : part.start + part.size])


def put_part(url: str, content: bytes) -> None:
    """Write a part into the folder as the address says."""
    import io

    what = signed(url.rpartition("/")[2])
    Folder(settings.MEDIA_FOLDER).receive_part(what["upload"], what["number"], what["size"], io.BytesIO(content))


def arrived(tenant_id: UUID, content: bytes, **said: Any) -> Video:
    """Return a video whose file has arrived, and is about to be worked on; outside of a block."""
    with tenant(tenant_id):
        video = make_video(**said)
    send(tenant_id, video.id, content)
    return operations.complete_upload(tenant_id=tenant_id, video_id=video.id, at=AT)


def files_of(tenant_id: UUID) -> list[str]:
    """Return the names of the tenant's files, below the videos' folders, in order."""
    found = storage().list_files(f"{tenant_id}/")
    return sorted(each.key.split("/", 2)[2] for each in found)


def ready_video(portfolio: Portfolio | None = None, **said: Any) -> Video:
    """Return a video that is ready as far as its rows say, in the open scope; there are no files."""
    video = make_video(portfolio, **said)
    Video.objects.filter(id=video.id).update(
        state=VideoState.READY, size=1000, file_name="walk.mp4", asked_at=AT, ready_at=AT, seconds="6.100", width=160,
        height=90, predicted_ms=2500, has_poster=True,
    )  # fmt: skip
    Plan.objects.create(video=video, media={}, plan={}, tracks={})
    Rendition.objects.create(video=video, name="480p", width=160, height=90, size=900, made_at=AT)
    Captions.objects.create(video=video, name="captions-2.vtt", language="eng")
    Playlist.objects.create(video=video, name=queries.MASTER, text="#EXTM3U\n480p.m3u8\n")
    for number in range(2):
        Segment.objects.create(
            video=video, number=number, start_s=3.05 * number, length_s=3.05, cost_s=0.5, made_at=AT, started_at=AT,
            result={}, cpu_ms=400, wall_ms=500, memory_mb=90, fetched_bytes=500,
        )  # fmt: skip
    return queries.get_video(video_id=video.id)


def _of_video(model: type[Model], **said: Any) -> Callable[[], Model]:
    return lambda: model.objects.create(video=make_video(), **said)


def _of_something() -> Video:
    """Return a video of something that is insured."""
    house = make_asset(make_portfolio())
    return make_video(house.portfolio, asset_id=house.id, policy_id=make_policy(house.portfolio).id)


ROWS: dict[str, Callable[[], Model]] = {
    "media.Video": _of_something,
    "media.Plan": _of_video(Plan, media={}),
    "media.Segment": _of_video(Segment, number=0, start_s=0, length_s=1, cost_s=1),
    "media.Rendition": _of_video(Rendition, name="480p", width=160, height=90),
    "media.Captions": _of_video(Captions, name="captions-1.vtt"),
    "media.Playlist": _of_video(Playlist, name="master.m3u8", text="#EXTM3U"),
    "media.Allowance": lambda: Allowance.objects.get_or_create(defaults={"parallel": 1})[0],
}

"""Videos in the households whose pages are looked at: one that is real, and one in each other state."""

import datetime as dt
from uuid import UUID

from services.core.models import Portfolio
from services.media import operations
from services.media.models import Plan, Segment, Video, VideoState
from services.media.operations import VideoFacts
from tenants.isolation import tenant
from tests.services.media.rows import clip, send


def send_a_video(tenant_id: UUID, *, at: dt.datetime) -> None:
    """Send a video into the tenant's oldest portfolio; it is ready when the jobs have run."""
    content = clip(4.0, size=(480, 270))
    with tenant(tenant_id):
        portfolio = Portfolio.objects.earliest("created_at", "id")
        video = operations.add_video(facts=VideoFacts(portfolio_id=portfolio.id, title="Living room"), at=at)
    send(tenant_id, video.id, content)
    operations.complete_upload(tenant_id=tenant_id, video_id=video.id, at=at)


def fill_with_videos(portfolio: Portfolio, *, at: dt.datetime) -> None:
    """Make a video in each state but ready, in the open scope, as rows."""
    titles = {
        VideoState.UPLOADING: "The garage, with everything that stands in it and all that hangs on its walls",
        VideoState.WORKING: "Kitchen",
        VideoState.FAILED: "Attic",
        VideoState.CANCELLED: "Cellar",
    }
    for minutes, (state, title) in enumerate(titles.items()):
        facts = VideoFacts(portfolio_id=portfolio.id, title=title)
        video = operations.add_video(facts=facts, at=at - dt.timedelta(minutes=minutes))
        if state == VideoState.UPLOADING:
            continue
        Video.objects.filter(id=video.id).update(
            state=state, size=734_003_200, file_name="IMG_4711.MOV", asked_at=at - dt.timedelta(seconds=40),
            seconds="312.400", width=1920, height=1080, predicted_ms=61_000, has_poster=False,
        )  # fmt: skip
        if state == VideoState.FAILED:
            Video.objects.filter(id=video.id).update(
                error_code="truncated", error_detail="The file ends too early: a part of it is missing."
            )
        Plan.objects.create(video=video, media={}, plan={}, tracks={})
        for number in range(6):
            made = (
                {
                    "made_at": at - dt.timedelta(seconds=27 - 9 * number),
                    "started_at": at - dt.timedelta(seconds=36 - 9 * number),
                    "result": {},
                    "cpu_ms": 9000,
                    "wall_ms": 9400,
                }
                if number < 4
                else {}
            )
            Segment.objects.create(
                video=video, number=number, start_s=52.0 * number, length_s=52.0, cost_s=10.0, **made
            )

"""The demo's video: a look around a room that is drawn here, sent and prepared as anyone's."""

import datetime as dt
import io
from collections.abc import Callable

import httpx
from django.conf import settings

from services.insurance import queries as insurance
from services.insurance.operations import PolicyKind
from services.media import operations, queries
from services.media.models import VideoState
from services.media.operations import VideoFacts
from tenants.isolation import tenant
from tenants.models import AuditEvent, Tenant

TITLE, FILE_NAME = "Living room", "living-room.mp4"
SECONDS, RATE = 8, 24
WALL, ROOM = "0xe9e0d2", (2560, 720)
THINGS = (
    # x, y, width, height, colour: what is further away first.
    (0, 560, 2560, 160, "0xb98d60"),
    (0, 548, 2560, 12, "0xfaf7f1"),
    (180, 120, 420, 300, "0xfaf7f1"),
    (196, 136, 186, 268, "0x9fc8e8"),
    (398, 136, 186, 268, "0x9fc8e8"),
    (820, 170, 260, 180, "0x3c4a5a"),
    (832, 182, 236, 156, "0xd9805f"),
    (700, 400, 520, 90, "0x5f7f6c"),
    (660, 450, 600, 130, "0x6f937e"),
    (1420, 90, 300, 470, "0x6b4a34"),
    *((1436, top, 268, 84, "0xc9b79c") for top in (106, 206, 306, 406)),
    *((1446 + 40 * k, 206 + 14 * (k % 3), 30, 84 - 14 * (k % 3), color)
      for k, color in enumerate(("0x8a3b3b", "0x2f5d73", "0xd0a13c", "0x54734a", "0x7a5c86", "0x34495e"))),
    (1900, 230, 420, 250, "0x20242a"),
    (1912, 242, 396, 226, "0x39414b"),
    (1860, 490, 500, 80, "0x8d6748"),
)  # fmt: skip


def send(owner: Tenant, *, now: Callable[[], dt.datetime]) -> None:
    """Send the video, once: who deletes it is rid of it. What was interrupted is gone on with. Outside of a block.

    Raises:
        httpx.HTTPError: the storage couldn't be reached.
    """
    with tenant(owner.id):
        video = queries.list_videos().filter(title=TITLE, state=VideoState.UPLOADING).first() or _announced(now())
    if video is None:
        return
    content = draw()
    upload = operations.begin_upload(tenant_id=owner.id, video_id=video.id, file_name=FILE_NAME, size=len(content))
    for part in upload.to_send:
        url = httpx.URL(settings.SITE_URL).join(part.url)
        httpx.put(url, content=content[part.start : part.start + part.size]).raise_for_status()
    operations.complete_upload(tenant_id=owner.id, video_id=video.id, at=now())


def _announced(at: dt.datetime) -> operations.Video | None:
    """Return a new video of what the home's policy covers; None if there was one before, or there is no such policy."""
    home = insurance.list_policies().filter(kind=PolicyKind.HOME_AND_CONTENTS).first()
    if home is None or AuditEvent.objects.filter(action="create", subject="video").exists():
        return None
    facts = VideoFacts(portfolio_id=home.portfolio_id, title=TITLE, policy_id=home.id, asset_id=home.asset_id)
    return operations.add_video(facts=facts, at=at)


def draw() -> bytes:
    """Return an MP4 in which one looks from the room's left to its right."""
    import av.filter  # only who has the extra `media` can draw; the rest of the product does without

    width, height = 1280, ROOM[1]
    boxes = [f"drawbox=x={x}:y={y}:w={w}:h={h}:color={color}:t=fill" for x, y, w, h, color in THINGS]
    turn = f"crop=w={width}:h={height}:y=0:x=(iw-ow)*(1-cos(PI*t/{SECONDS}))/2"
    drawn_once = (f"color=c={WALL}:size={ROOM[0]}x{ROOM[1]}:rate={RATE}:duration=0.01", *boxes, "loop=loop=-1:size=1")
    graph = av.filter.Graph()
    nodes = [graph.add(*each.split("=", 1)) for each in (*drawn_once, turn, "format=yuv420p")]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"preset": "superfast", "g": "48", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(SECONDS * RATE):
            frame = graph.vpull()
            frame.pict_type = 0
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return file.getvalue()

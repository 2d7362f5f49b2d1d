"""When each segment of a video was worked on, as a drawing: a row for each, a bar from its beginning to its end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.media.models import Segment, Video

WIDTH, ROW, LABEL = 800, 14, 60
"""In the drawing's units: of the time, of one row, and of the numbers before it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment at its place; `says` is what is read out and shown where one points. Not made yet, it has no width."""

    number: int
    x: float
    y: int
    width: float
    says: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing: its size, its bars, and how many seconds lie between its edges."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    seconds: float


def timeline_of(video: Video, segments: Sequence[Segment]) -> Timeline:
    """Return the drawing of the segments, in order, from when the work was asked for until the last was made."""
    begin = min((each.started_at for each in segments if each.started_at), default=video.asked_at)
    ends = [each.made_at for each in segments if each.made_at]
    if begin is None or not ends:
        return Timeline(LABEL + WIDTH, ROW * len(segments), (), 0.0)
    seconds = max((max(ends) - begin).total_seconds(), 0.001)
    bars = []
    for row, each in enumerate(segments):
        x, width, says = float(LABEL), 0.0, f"Segment {each.number}: not made yet"
        if each.started_at and each.made_at:
            x += WIDTH * (each.started_at - begin).total_seconds() / seconds
            width = max(WIDTH * (each.made_at - each.started_at).total_seconds() / seconds, 1.0)
            took, cpu = (each.wall_ms or 0) / 1000, (each.cpu_ms or 0) / 1000
            says = f"Segment {each.number}: {took:.1f} s, {cpu:.1f} s of a core, {each.memory_mb or 0} MB"
        bars.append(Bar(each.number, round(x, 1), row * ROW, round(width, 1), says))
    return Timeline(LABEL + WIDTH, ROW * len(segments), tuple(bars), seconds)


USD_PER_GB_SECOND = Decimal("0.0000166667")
"""Of AWS Lambda on x86, us-east-1. Source: aws.amazon.com/lambda/pricing, read 2026-11."""
WORKER_GB = Decimal("1.769")
"""The memory that comes with one core. Source: docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""


def estimated_usd(*, segments: Collection[Segment]) -> Decimal:
    """Return what these segments would have cost on Lambda, in US dollars to a millionth: an estimate.

    By what they took here, a core each, without requests, storage and transfer.
    """
    seconds = Decimal(sum(each.wall_ms or 0 for each in segments)) / 1000
    return (seconds * WORKER_GB * USD_PER_GB_SECOND).quantize(Decimal("0.000001"))

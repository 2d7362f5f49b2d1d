"""A day in bars, an hour each: what went well below, what failed on top. Drawn here, as the SVG's numbers."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

HOURS = 24
WIDTH, HEIGHT, FOOT, LEFT = 720, 160, 20, 40
"""Of the drawing, with the room for the hours below and the numbers on the left."""

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: its counts, and where they stand in the drawing."""

    hour: dt.datetime
    good: int
    bad: int
    x: float
    width: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars from the oldest hour to the present one, and the number that the top stands for."""

    bars: tuple[Bar, ...]
    top: int

    @property
    def good(self) -> int:
        """Return how many went well in all."""
        return sum(bar.good for bar in self.bars)

    @property
    def bad(self) -> int:
        """Return how many failed in all."""
        return sum(bar.bad for bar in self.bars)


def first_hour(at: dt.datetime) -> dt.datetime:
    """Return the beginning (UTC) of the oldest hour in a chart drawn at `at`."""
    return at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * _HOUR


def draw(counts: Iterable[tuple[dt.datetime, int, int]], *, at: dt.datetime) -> Chart:
    """Return the chart of (hour, good, bad); hours that aren't counted are empty."""
    counted = {hour.astimezone(dt.UTC): (good, bad) for hour, good, bad in counts}
    hours = [first_hour(at) + number * _HOUR for number in range(HOURS)]
    top = max((sum(counted.get(hour, (0, 0))) for hour in hours), default=0) or 1
    slot, scale = (WIDTH - LEFT) / HOURS, (HEIGHT - FOOT - 10) / top
    bars = []
    for number, hour in enumerate(hours):
        good, bad = counted.get(hour, (0, 0))
        good_height, bad_height = round(good * scale, 1), round(bad * scale, 1)
        good_y = round(HEIGHT - FOOT - good_height, 1)
        bars.append(
            Bar(
                hour=hour,
                good=good,
                bad=bad,
                x=round(LEFT + number * slot + slot * 0.15, 1),
                width=round(slot * 0.7, 1),
                good_y=good_y,
                good_height=good_height,
                bad_y=round(good_y - bad_height, 1),
                bad_height=bad_height,
            )
        )
    return Chart(tuple(bars), top)

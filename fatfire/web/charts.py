"""The geometry of a chart of days, worked out here so that the page is whole without a script."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import pairwise

from fatfire.web.formats import day_of_month_text, day_text, month_text, short_text

WIDTH, HEIGHT = 1000, 300
MOST_POINTS = 400
_GAPS = 4
_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over the days: `values` as drawn, `texts` as read."""

    key: str
    label: str
    values: tuple[Decimal, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a place along an axis, in percent; `align` is how its text lies to it."""

    at: Decimal
    label: str
    align: str = "middle"
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """What is drawn of a line, in the chart's units (WIDTH by HEIGHT, y downwards)."""

    key: str
    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template draws. `area` is between the first line and zero; `points` is what the script reads."""

    lines: tuple[Path, ...]
    area: str
    grid: tuple[Decimal, ...]
    zero: Decimal
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    points: dict[str, object]
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(days: Sequence[dt.date], lines: Sequence[Line], *, estimated: Sequence[bool] = ()) -> Chart | None:
    """Return the chart of at least two days in order, or None of fewer. The first line is the one with the area.

    `estimated` says so of each day (empty: of none).
    """
    if len(days) < 2:
        return None
    kept = _kept(len(days))
    values = [[line.values[index] for index in kept] for line in lines]
    everything = [Decimal(0), *(value for column in values for value in column)]
    ticks = nice_ticks(min(everything), max(everything))
    low, high = ticks[0], ticks[-1]
    shown = [days[index] for index in kept]
    span = Decimal((shown[-1] - shown[0]).days)
    xs = [_round((day - shown[0]).days / span * WIDTH) for day in shown]

    def y_of(value: Decimal) -> Decimal:
        return _round(HEIGHT - (value - low) / (high - low) * HEIGHT)

    ys = [[y_of(value) for value in column] for column in values]
    paths = [_path(xs, column) for column in ys]
    zero = y_of(Decimal(0))
    return Chart(
        lines=tuple(Path(line.key, line.label, path) for line, path in zip(lines, paths, strict=True)),
        area=f"{paths[0]}L{xs[-1]} {zero}L{xs[0]} {zero}Z",
        grid=tuple(y_of(tick) for tick in ticks if tick != 0),
        zero=zero,
        y_ticks=tuple(Tick(_round(y_of(tick) * 100 / HEIGHT), short_text(tick)) for tick in ticks),
        x_ticks=tuple(day_ticks(shown[0], shown[-1])),
        points={
            "days": [day_text(day) for day in shown],
            "x": [str(_percent(x, WIDTH)) for x in xs],
            "estimated": [index for index, number in enumerate(kept) if estimated and estimated[number]],
            "lines": [
                {
                    "key": line.key,
                    "label": line.label,
                    "y": [str(_percent(y, HEIGHT)) for y in column],
                    "texts": [line.texts[index] for index in kept],
                }
                for line, column in zip(lines, ys, strict=True)
            ],
        },
    )


def nice_ticks(low: Decimal, high: Decimal) -> tuple[Decimal, ...]:
    """Return 2 to 6 round numbers, evenly apart, from at most `low` to at least `high`."""
    if low == high:
        high = low + 1
    rough = (high - low) / _GAPS
    magnitude = Decimal(1).scaleb(rough.adjusted())
    step = next(each * magnitude for each in _STEPS if each * magnitude >= rough)
    first = (low / step).to_integral_value(ROUND_FLOOR)
    last = (high / step).to_integral_value(ROUND_CEILING)
    return tuple((first + index) * step for index in range(int(last - first) + 1))


def day_ticks(first: dt.date, last: dt.date) -> Iterator[Tick]:
    """Yield labels at the beginnings of weeks, months or years between two days, by how long that is."""
    length = (last - first).days
    if length <= 45:
        step = 7 if length > 10 else 1 if length <= 6 else 2
        days = [first + dt.timedelta(days=number) for number in range(0, length + 1, step)]
        chosen = [(day, day_of_month_text(day)) for day in days]
    else:
        chosen = list(_beginnings(first, last, months=_months_between(length)))
    for index, (day, label) in enumerate(chosen):
        at = _percent(Decimal((day - first).days), length)
        align = "start" if at < 10 else "end" if at > 92 else "middle"
        yield Tick(at, label, align, is_minor=index % 2 == 1 and len(chosen) > 3)


def _months_between(length: int) -> int:
    return next(months for months, most in ((1, 190), (2, 400), (6, 1100), (12, 3000), (60, 10**6)) if length <= most)


def _beginnings(first: dt.date, last: dt.date, *, months: int) -> Iterator[tuple[dt.date, str]]:
    """Yield the first days of every `months`-th month (counted from January), with their labels."""
    number = first.year * 12 + first.month - 1
    named = False
    while (day := dt.date(number // 12, number % 12 + 1, 1)) <= last:
        if day >= first and number % months == 0:
            with_year = day.month == 1 or not named
            yield day, str(day.year) if months >= 12 else month_text(day, with_year=with_year)
            named = True
        number += 1


def _kept(count: int) -> list[int]:
    """Return which of `count` points are drawn: evenly spread, the first and the last among them."""
    if count <= MOST_POINTS:
        return list(range(count))
    last = count - 1
    return [index * last // (MOST_POINTS - 1) for index in range(MOST_POINTS)]


def _path(xs: Sequence[Decimal], ys: Sequence[Decimal]) -> str:
    """Return the SVG path through the points; of points in one level line only the ends, which draws the same."""
    points = list(zip(xs, ys, strict=True))
    bends = [here for (before, here), (_, after) in pairwise(pairwise(points)) if not before[1] == here[1] == after[1]]
    return "M" + "L".join(f"{x} {y}" for x, y in [points[0], *bends, points[-1]])


def _round(value: Decimal) -> Decimal:
    return value.quantize(_TENTH, rounding=ROUND_HALF_UP)


def _percent(part: Decimal, whole: int) -> Decimal:
    return (part * 100 / whole).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

"""The geometry of the chart."""

import datetime as dt
from decimal import Decimal

import pytest

from fatfire.web.charts import HEIGHT, MOST_POINTS, WIDTH, Line, Tick, chart_of, day_ticks, nice_ticks
from fatfire.web.formats import in_locale

D = Decimal
FIRST = dt.date(2026, 1, 1)


def line(*values, key="net-worth"):
    return Line(key, key.title(), tuple(map(D, values)), tuple(map(str, values)))


def days(count, step=1):
    return [FIRST + dt.timedelta(days=step * number) for number in range(count)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("0", "1265594.40", ["0", "500000", "1000000", "1500000"]),
        ("0", "100", ["0", "25", "50", "75", "100"]),
        ("-30", "70", ["-50", "-25", "0", "25", "50", "75"]),
        ("0", "0", ["0", "0.25", "0.5", "0.75", "1"]),
        ("-8", "0", ["-8", "-6", "-4", "-2", "0"]),
    ],
)
def test_ticks_are_round_and_hold_everything(low, high, expected):
    assert list(nice_ticks(D(low), D(high))) == list(map(D, expected))


def test_chart_of_three_days():
    chart = chart_of(days(3), [line(0, 50, 100), line(100, 100, 100, key="assets")])

    assert [path.path for path in chart.lines] == ["M0.0 300.0L500.0 150.0L1000.0 0.0", "M0.0 0.0L1000.0 0.0"]
    assert chart.area == "M0.0 300.0L500.0 150.0L1000.0 0.0L1000.0 300.0L0.0 300.0Z"
    assert chart.grid == (D("225.0"), D("150.0"), D("75.0"), D("0.0"))
    assert chart.zero == 300
    assert chart.points == {
        "days": ["1 Jan 2026", "2 Jan 2026", "3 Jan 2026"],
        "x": ["0.00", "50.00", "100.00"],
        "estimated": [],
        "lines": [
            {"key": "net-worth", "label": "Net-Worth", "y": ["100.00", "50.00", "0.00"], "texts": ["0", "50", "100"]},
            {"key": "assets", "label": "Assets", "y": ["0.00"] * 3, "texts": ["100"] * 3},
        ],
    }


def test_chart_knows_which_of_its_points_are_estimated():
    count = 2 * MOST_POINTS
    chart = chart_of(days(count), [line(*range(count))], estimated=[number >= count - 4 for number in range(count)])

    assert chart.points["estimated"] == [MOST_POINTS - 2, MOST_POINTS - 1]


def test_chart_below_zero_has_its_zero_inside():
    chart = chart_of(days(2), [line(-100, 100)])

    assert chart.zero == HEIGHT // 2
    assert chart.area == "M0.0 300.0L1000.0 0.0L1000.0 150.0L0.0 150.0Z"


@pytest.mark.parametrize("count", [0, 1])
def test_chart_needs_two_days(count):
    assert chart_of(days(count), [line(*range(count))]) is None


def test_days_that_are_missing_leave_room():
    chart = chart_of([FIRST, FIRST + dt.timedelta(days=1), FIRST + dt.timedelta(days=4)], [line(1, 2, 3)])

    assert chart.points["x"] == ["0.00", "25.00", "100.00"]


def test_many_days_are_thinned_and_the_ends_stay():
    chart = chart_of(days(4000), [line(*range(4000))])

    assert len(chart.points["days"]) == MOST_POINTS
    assert (chart.points["days"][0], chart.points["days"][-1]) == ("1 Jan 2026", "13 Dec 2036")
    assert chart.lines[0].path.endswith(f"L{WIDTH}.0 0.1")


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (4, ["1 Jan", "2 Jan", "3 Jan", "4 Jan", "5 Jan"]),
        (30, ["1 Jan", "8 Jan", "15 Jan", "22 Jan", "29 Jan"]),
        (90, ["Jan 2026", "Feb", "Mar", "Apr"]),
        (365, ["Jan 2026", "Mar", "May", "July", "Sept", "Nov", "Jan 2027"]),
        (2000, ["2026", "2027", "2028", "2029", "2030", "2031"]),
        (20000, ["2030", "2035", "2040", "2045", "2050", "2055", "2060", "2065", "2070", "2075", "2080"]),
    ],
)
def test_days_are_labelled_at_beginnings(length, expected):
    assert [tick.label for tick in day_ticks(FIRST, FIRST + dt.timedelta(days=length))] == expected


LABELS = [
    ("de-DE", 4, ["1. Jan.", "2. Jan.", "3. Jan.", "4. Jan.", "5. Jan."]),
    ("de-DE", 90, ["Jan. 2026", "Feb", "Mär", "Apr"]),
    ("fr-FR", 90, ["janv. 2026", "févr.", "mars", "avr."]),
    ("en-US", 30, ["Jan 1", "Jan 8", "Jan 15", "Jan 22", "Jan 29"]),
    ("ja-JP", 2000, ["2026", "2027", "2028", "2029", "2030", "2031"]),
]


@pytest.mark.parametrize(("locale", "length", "expected"), LABELS)
def test_axes_and_tooltips_are_in_the_locale(locale, length, expected):
    with in_locale(locale):
        assert [tick.label for tick in day_ticks(FIRST, FIRST + dt.timedelta(days=length))] == expected


def test_chart_has_nothing_left_to_format():
    with in_locale("de-DE"):
        chart = chart_of(days(2), [line("0", "1500000")])

    assert [tick.label for tick in chart.y_ticks] == ["0", "500.000", "1\u00a0Mio.", "1,5\u00a0Mio."]
    assert chart.points["days"] == ["01.01.2026", "02.01.2026"]


def test_labels_at_the_edges_stay_inside():
    ticks = list(day_ticks(FIRST, dt.date(2027, 1, 1)))

    assert ticks[0] == Tick(D("0.00"), "Jan 2026", "start")
    assert ticks[1] == Tick(D("16.16"), "Mar", "middle", is_minor=True)
    assert ticks[-1] == Tick(D("100.00"), "Jan 2027", "end")

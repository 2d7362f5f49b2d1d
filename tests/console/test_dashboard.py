"""The figures of the console's first page: right, from the database, by the same queries whatever there is."""

import datetime as dt
import uuid
from contextlib import ExitStack

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from fatfire.console import charts, dashboard
from services.exchange.models import Rate
from services.integration.models import Link, LinkState
from services.jobs import operations as jobs
from services.jobs.graph import graph_of
from services.jobs.models import JobStep, State
from services.telemetry.models import Invocation
from services.telemetry.queries import Pace
from tenants.isolation import operator, tenant
from tests.factories import AT, make_asset, make_portfolio, make_tenant
from tests.services.jobs.kinds import SINGLE, claimed, fail, later, succeed
from tests.tenants.rows import row_of

HOUR = dt.datetime(2026, 11, 23, 2, tzinfo=dt.UTC)


def figures(at: dt.datetime = AT) -> dict:
    with operator():
        return dashboard.figures(at=at)


def queries() -> int:
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
        figures()
    return sum(len(each) for each in captured)


def add_request(name: str, duration_ms: int, *, minutes_ago: int, outcome: str = "ok") -> None:
    Invocation.objects.create(
        kind="request",
        name=name,
        outcome=outcome,
        status=500 if outcome == "failed" else 200,
        started_at=AT - dt.timedelta(minutes=minutes_ago),
        duration_ms=duration_ms,
        request_id="dashboard",
    )


@pytest.fixture
def day(home) -> None:
    """Make two households, three ended jobs and one that waits, and requests of this and of another day."""
    other = make_tenant(slug="other")
    with tenant(home.id):
        portfolio = make_portfolio()
        make_asset(portfolio), make_asset(portfolio)
        ended = [jobs.enqueue(kind=SINGLE, subject_id=uuid.uuid4(), at=AT) for _ in range(4)]
        for number in range(1, 21):
            add_request("GET /slow", number * 100, minutes_ago=60 * (number % 3))
        add_request("GET /quick", 7, minutes_ago=0, outcome="failed")
        add_request("GET /long ago", 90_000, minutes_ago=60 * 24)
    with tenant(other.id):
        link = row_of("integration.Link")
        Link.objects.filter(id=link.id).update(state=LinkState.REVOKED, item_id="item", access_token=b"secret")
    for job, end, after_s in zip(ended[:3], (succeed, succeed, fail), (3600, 60, 120), strict=True):
        end(claimed(job), at=AT - dt.timedelta(seconds=after_s))
    with operator():
        Rate.objects.create(currency="AUD", on=AT.date() - dt.timedelta(days=2), per_euro="1.76", load=1)
        JobStep.objects.filter(state=State.QUEUED).update(run_after=AT)


def test_figures_are_those_of_the_rows(day):
    found = figures(later(90))

    counts = {name: found[name] for name in ("tenants", "people", "portfolios", "assets", "queued", "running")}
    # Portfolios: the household's, and the one that the link is in.
    assert counts == {"tenants": 2, "people": 2, "portfolios": 2, "assets": 2, "queued": 1, "running": 0}
    assert (found["wait_s"], found["is_late"]) == (90, True)
    assert found["revoked_links"] == 1
    assert (found["rates_on"], found["rates_are_old"]) == (dt.date(2026, 11, 21), False)
    assert [(bar.hour, bar.good, bar.bad) for bar in found["job_chart"].bars if bar.good or bar.bad] == [
        (HOUR - dt.timedelta(hours=1), 2, 1)
    ]
    assert [(bar.hour, bar.good, bar.bad) for bar in found["request_chart"].bars if bar.good or bar.bad] == [
        (HOUR - dt.timedelta(hours=2), 7, 0),
        (HOUR - dt.timedelta(hours=1), 7, 0),
        (HOUR, 6, 1),
    ]
    assert found["routes"] == [Pace("GET /slow", 20, 1000, 1900), Pace("GET /quick", 1, 7, 7)]
    assert [(job.error_code, job.tenant.name) for job in found["failures"]] == [("broken", "Home")]


def test_nothing_yet_is_shown_too(client):
    assert (figures()["rates_on"], figures()["rates_are_old"], figures()["wait_s"]) == (None, True, 0)

    page = client.get("/admin/").content.decode()

    assert "No job failed in the last 24 hours." in page
    assert "There are none yet" in client.get("/admin/rates/").content.decode()


def test_page_says_what_the_figures_say(client, day):
    page = client.get("/admin/").content.decode()

    assert '<a href="/admin/rates/">2026-11-21</a>' in page
    assert '<dd><a href="/admin/integration/link/?state__exact=revoked">1</a></dd>' in page


def test_more_rows_take_no_more_queries(home, request):
    before = queries()

    request.getfixturevalue("day")

    assert queries() == before <= 14


def test_old_rates_are_said_to_be_old(home):
    with operator():
        Rate.objects.create(currency="AUD", on=AT.date() - dt.timedelta(days=6), per_euro="1.76", load=1)

    assert figures()["rates_are_old"] is True
    with operator():
        assert [is_old for _, is_old in dashboard.rates(at=AT)["rates"]] == [True]


def test_chart_has_a_bar_for_each_hour_and_the_highest_fills_it():
    chart = charts.draw(
        [(HOUR, 3, 1), (HOUR - dt.timedelta(hours=23), 2, 0), (HOUR - dt.timedelta(days=2), 9, 9)], at=AT
    )

    assert [bar.hour for bar in chart.bars] == [HOUR - dt.timedelta(hours=number) for number in range(23, -1, -1)]
    assert (chart.top, chart.good, chart.bad) == (4, 5, 1)
    highest = chart.bars[-1]
    assert (highest.bad_y, highest.good_y + highest.good_height) == (10, charts.HEIGHT - charts.FOOT)
    assert charts.draw([], at=AT).top == 1


def test_graph_draws_a_diamond(home):
    with tenant(home.id):
        steps = [JobStep(name=name, position=number) for number, name in enumerate(("first", "left", "right", "last"))]

    graph = graph_of("test.diamond", steps)

    assert [(box.x, box.y) for box in graph.boxes] == [(0, 0), (236, 0), (236, 68), (472, 0)]
    assert (graph.width, graph.height, len(graph.lines)) == (668, 120, 4)
    assert graph_of("pets.feed", steps).lines == ()
    assert graph_of("test.diamond", []).boxes == ()

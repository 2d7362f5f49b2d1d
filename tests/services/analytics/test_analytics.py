"""Totals, changes between two days, and series."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest

from fatfire.kit.errors import InvalidInput
from services.analytics import queries
from services.analytics.queries import Change, Difference, NoHistory, Range, Totals
from services.core.models import Portfolio
from services.history.models import PortfolioDay
from tenants.isolation import operator, tenant
from tests.factories import make_portfolio, make_tenant

D = Decimal
NOV = {number: dt.date(2026, 11, number) for number in range(1, 31)}


def day(number, assets, debts="0"):
    return Totals(NOV[number], "AUD", D(assets), D(debts), D(assets) + D(debts), estimated=False, missing=0)


@pytest.fixture
def portfolio(database):
    """Return a portfolio with three days of history in its tenant's open scope: the 20th, 21st and 22nd."""
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio()
        for number, assets, debts in [(20, "100", "-200"), (21, "110", "-200"), (22, "110", "-150")]:
            PortfolioDay.objects.create(
                portfolio=portfolio, day=NOV[number], currency="AUD", assets=D(assets), debts=D(debts),
                estimated=False, missing=0,
            )  # fmt: skip
        yield portfolio


@pytest.mark.parametrize(
    ("on", "expected"), [(20, day(20, "100", "-200")), (22, day(22, "110", "-150")), (30, day(22, "110", "-150"))]
)
def test_totals(portfolio, on, expected):
    assert queries.totals(portfolio_id=portfolio.id, on=NOV[on]) == expected


def test_totals_before_the_history(portfolio):
    with pytest.raises(NoHistory):
        queries.totals(portfolio_id=portfolio.id, on=NOV[19])


CHANGES = [
    # from, to, days taken, (assets, debts, net worth) as (absolute, percent)
    (20, 21, (20, 21), (("10", "10.00"), ("0", "0.00"), ("10", "10.00"))),
    (20, 22, (20, 22), (("10", "10.00"), ("50", "25.00"), ("60", "60.00"))),  # a debt that shrinks is a gain
    (1, 22, (20, 22), (("10", "10.00"), ("50", "25.00"), ("60", "60.00"))),  # starts before the history
    (21, 30, (21, 22), (("0", "0.00"), ("50", "25.00"), ("50", "55.56"))),  # ends after it; 50 of 90
    (25, 30, (22, 22), (("0", "0.00"), ("0", "0.00"), ("0", "0.00"))),
    (1, 20, (20, 20), (("0", "0.00"), ("0", "0.00"), ("0", "0.00"))),
]


@pytest.mark.parametrize(("start", "end", "taken", "differences"), CHANGES)
def test_change(portfolio, start, end, taken, differences):
    known = {20: day(20, "100", "-200"), 21: day(21, "110", "-200"), 22: day(22, "110", "-150")}

    found = queries.change(portfolio_id=portfolio.id, start=NOV[start], end=NOV[end])

    wanted = [Difference(D(absolute), D(percent)) for absolute, percent in differences]
    assert found == Change("AUD", known[taken[0]], known[taken[1]], *wanted)


def test_change_that_ends_before_the_history(portfolio):
    with pytest.raises(NoHistory):
        queries.change(portfolio_id=portfolio.id, start=NOV[1], end=NOV[19])


def test_change_that_ends_before_it_starts(portfolio):
    with pytest.raises(InvalidInput, match=r"^The end is before the start\.$"):
        queries.change(portfolio_id=portfolio.id, start=NOV[21], end=NOV[20])


PERCENTAGES = [
    # before (owned), after, percent
    ("0", "5", None),
    ("0", "0", None),
    ("3", "4", "33.33"),
    ("3", "5", "66.67"),
    ("800", "801", "0.13"),  # 0.125: halves away from zero
    ("800", "799", "-0.13"),
    ("-100", "-50", "50.00"),
    ("-100", "50", "150.00"),
    ("-50", "-100", "-100.00"),
    ("0.0001", "922337203685477.5807", "922337203685477580600.00"),
]


@pytest.mark.parametrize(("before", "after", "percent"), PERCENTAGES)
def test_percent_of_the_starting_size(database, before, after, percent):
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio()
        for number, worth in [(20, D(before)), (21, D(after))]:
            PortfolioDay.objects.create(
                portfolio=portfolio, day=NOV[number], currency="AUD", assets=max(worth, D(0)), debts=min(worth, D(0)),
                estimated=False, missing=0,
            )  # fmt: skip

        found = queries.change(portfolio_id=portfolio.id, start=NOV[20], end=NOV[21])

    assert found.net_worth == Difference(D(after) - D(before), None if percent is None else D(percent))


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [(None, 30, [20, 21, 22]), (21, 30, [21, 22]), (1, 20, [20]), (1, 19, []), (22, 20, [])],
)
def test_series(portfolio, start, end, numbers):
    found = queries.series(portfolio_id=portfolio.id, start=start and NOV[start], end=NOV[end])

    known = {20: day(20, "100", "-200"), 21: day(21, "110", "-200"), 22: day(22, "110", "-150")}
    assert found == [known[number] for number in numbers]


def test_unit_of_a_change_is_that_of_the_stored_days(portfolio):
    Portfolio.objects.filter(id=portfolio.id).update(currency="JPY")  # the rollup comes later

    found = queries.change(portfolio_id=portfolio.id, start=NOV[20], end=NOV[21])

    assert (found.currency, found.start.currency, found.end.currency) == ("AUD", "AUD", "AUD")


def test_unknown_and_foreign_portfolios_do_not_exist(database):
    owner, other = make_tenant(), make_tenant()
    with tenant(other.id):
        foreign = make_portfolio()

    with tenant(owner.id):
        for portfolio_id in (foreign.id, uuid.uuid4()):
            with pytest.raises(Portfolio.DoesNotExist):
                queries.totals(portfolio_id=portfolio_id, on=NOV[20])
            with pytest.raises(Portfolio.DoesNotExist):
                queries.series(portfolio_id=portfolio_id, start=None, end=NOV[20])
            with pytest.raises(Portfolio.DoesNotExist):
                queries.change(portfolio_id=portfolio_id, start=NOV[20], end=NOV[20])
    with operator():
        assert not PortfolioDay.objects.exists()


STARTS = [
    ("1m", "2026-03-31", "2026-02-28"),
    ("1m", "2028-03-31", "2028-02-29"),
    ("1m", "2026-03-28", "2026-02-28"),
    ("1m", "2026-12-31", "2026-11-30"),
    ("1m", "2026-01-15", "2025-12-15"),
    ("3m", "2026-05-31", "2026-02-28"),
    ("3m", "2026-02-28", "2025-11-28"),
    ("3m", "2026-03-31", "2025-12-31"),
    ("1y", "2028-02-29", "2027-02-28"),
    ("1y", "2026-12-31", "2025-12-31"),
    ("1y", "0001-06-30", "0001-01-01"),
    ("1y", "9999-12-31", "9998-12-31"),
]


@pytest.mark.parametrize(("chosen", "end", "start"), STARTS)
def test_range_starts(chosen, end, start):
    assert queries.start_of(Range(chosen), end=dt.date.fromisoformat(end)) == dt.date.fromisoformat(start)


def test_range_of_all_has_no_start():
    assert queries.start_of(Range.ALL, end=NOV[20]) is None

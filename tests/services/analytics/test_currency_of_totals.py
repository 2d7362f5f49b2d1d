"""Totals and series in another currency than the portfolio's."""

import datetime as dt
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from fatfire.kit.errors import InvalidInput
from fatfire.kit.money import MINOR_DIGITS, Money
from services.analytics import queries
from services.analytics.queries import AssetWorth, Difference, Totals, difference
from services.exchange import queries as exchange
from services.exchange.queries import Rates, RateUnknown
from services.history.models import AssetDay, PortfolioDay
from tenants.isolation import tenant
from tests.factories import make_asset, make_portfolio, make_tenant
from tests.services.history.rolling import add_rates

D = Decimal
NOV = {number: dt.date(2026, 11, number) for number in range(1, 31)}
RATES = {
    ("AUD", NOV[19]): "1.6", ("USD", NOV[19]): "1.2",
    ("AUD", NOV[20]): "1.5", ("USD", NOV[20]): "1.25",
    ("USD", NOV[21]): "1.2",  # the AUD's of that day is the day's before
    ("KRW", NOV[10]): "1700", ("JPY", NOV[22]): "170",
}  # fmt: skip


@contextmanager
def days_of(*days, currency="AUD"):
    """Open the scope of a tenant whose portfolio has these days: (number, assets, debts)."""
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio()
        for number, assets, debts in days:
            PortfolioDay.objects.create(
                portfolio=portfolio, day=NOV[number], currency=currency, assets=D(assets), debts=D(debts),
                estimated=False, missing=1,
            )  # fmt: skip
        yield portfolio


@pytest.fixture
def portfolio(database):
    """Return a portfolio in AUD with three days of history, in its tenant's open scope."""
    add_rates(RATES)
    with days_of((19, "100.01", "-50"), (20, "100.01", "-50"), (21, "90", "-60")) as portfolio:
        yield portfolio


def total(number, currency, assets, debts, *, estimated=False):
    return Totals(NOV[number], currency, D(assets), D(debts), D(assets) + D(debts), estimated, missing=1)


IN_DOLLARS = [
    total(19, "USD", "75.01", "-37.50"),  # 100.01 * 1.2 / 1.6 = 75.0075
    total(20, "USD", "83.34", "-41.67"),  # 100.01 * 1.25 / 1.5 = 83.3416…; 41.666…
    total(21, "USD", "72.00", "-48.00"),
]


def test_series_takes_the_rates_of_each_day(portfolio):
    assert queries.series(portfolio_id=portfolio.id, start=None, end=NOV[30], currency="USD") == IN_DOLLARS


def test_change_is_that_of_the_converted_figures(portfolio):
    found = queries.change(portfolio_id=portfolio.id, start=NOV[19], end=NOV[30], currency="USD")

    assert (found.currency, found.start, found.end) == ("USD", IN_DOLLARS[0], IN_DOLLARS[2])
    assert found.assets == Difference(D("-3.01"), D("-4.01"))
    assert found.debts == Difference(D("-10.50"), D("-28.00"))
    assert found.net_worth == Difference(D("-13.51"), D("-36.02"))


def test_totals_are_those_of_the_newest_known_day(portfolio):
    assert queries.totals(portfolio_id=portfolio.id, on=NOV[30], currency="USD") == IN_DOLLARS[2]
    assert queries.newest_totals(portfolio_ids=[portfolio.id], currency="USD") == {portfolio.id: IN_DOLLARS[2]}


@pytest.mark.parametrize(
    ("currency", "assets", "debts", "is_estimated"),
    [
        ("EUR", "66.67", "-33.33", False),
        ("KRW", "113345", "-56667", True),  # the rate is ten days old
        ("JPY", "11334", "-5667", True),  # the first rate is of a later day
    ],
)
def test_rate_that_only_estimates_makes_the_day_estimated(portfolio, currency, assets, debts, is_estimated):
    found = queries.totals(portfolio_id=portfolio.id, on=NOV[20], currency=currency)

    assert found == total(20, currency, assets, debts, estimated=is_estimated)


def test_estimated_day_stays_estimated(portfolio):
    PortfolioDay.objects.filter(day=NOV[20]).update(estimated=True)

    found = queries.series(portfolio_id=portfolio.id, start=None, end=NOV[30], currency="USD")

    assert [each.estimated for each in found] == [False, True, False]


@pytest.mark.parametrize("currency", ["NZD", "XAF"])
def test_currency_without_a_rate(portfolio, currency):
    with pytest.raises(RateUnknown, match=f"There is no rate for {currency}"):
        queries.series(portfolio_id=portfolio.id, start=None, end=NOV[30], currency=currency)
    with pytest.raises(RateUnknown):
        queries.totals(portfolio_id=portfolio.id, on=NOV[30], currency=currency)
    assert queries.newest_totals(portfolio_ids=[portfolio.id], currency=currency) == {}


def test_currency_that_does_not_exist(portfolio):
    with pytest.raises(InvalidInput, match="'XYZ' is not a currency code"):
        queries.series(portfolio_id=portfolio.id, start=NOV[30], end=NOV[30], currency="XYZ")


def test_days_of_a_former_currency_are_converted_too(portfolio):
    PortfolioDay.objects.filter(day=NOV[19]).update(currency="USD")

    found = queries.series(portfolio_id=portfolio.id, start=None, end=NOV[30], currency="USD")

    assert found == [total(19, "USD", "100.01", "-50"), *IN_DOLLARS[1:]]


def test_rates_are_one_query_whatever_the_days(portfolio):
    counts = []
    for first in (21, 19):
        with CaptureQueriesContext(connections["default"]) as captured:
            queries.series(portfolio_id=portfolio.id, start=NOV[first], end=NOV[30], currency="USD")
        counts.append(len(captured))
        assert sum("exchange_rate" in each["sql"] for each in captured) == 1

    assert counts[0] == counts[1]


def test_series_of_an_asset(portfolio):
    asset = make_asset(portfolio, currency="AUD")
    for number in (19, 20):
        AssetDay.objects.create(asset=asset, day=NOV[number], value=D("100.01"), estimated=number == 19)

    def series(currency):
        return queries.asset_series(asset=asset, start=NOV[1], end=NOV[30], currency=currency)

    assert series("USD") == [
        AssetWorth(NOV[19], Money(D("75.01"), "USD"), estimated=True),
        AssetWorth(NOV[20], Money(D("83.34"), "USD"), estimated=False),
    ]
    assert series(None) == series("AUD")
    assert [each.money for each in series("AUD")] == [Money(D("100.01"), "AUD")] * 2


def test_currencies_to_choose_from(database):
    owner = make_tenant()
    with tenant(owner.id):
        assert exchange.list_currencies() == ["EUR"]
    add_rates(RATES)
    with tenant(owner.id):
        assert exchange.list_currencies() == ["AUD", "EUR", "JPY", "KRW", "USD"]


# For all amounts and rates, without a database.

CURRENCIES = st.sampled_from(["AUD", "USD", "JPY", "KWD", "EUR"])
AMOUNTS = st.decimals("-99999999999", "99999999999", places=2)
PER_EURO = st.decimals("0.0001", "99999", places=4)


@st.composite
def rates(draw):
    return Rates({(each, NOV[20]): (draw(PER_EURO), NOV[20]) for each in ("AUD", "USD", "JPY", "KWD")})


def converted(rates, amount, base, to):
    return rates.convert(money=Money(amount, base), to=to, on=NOV[20]).money.amount


@given(rates=rates(), amount=AMOUNTS, currency=CURRENCIES)
def test_own_currency_is_identity(rates, amount, currency):
    assert converted(rates, amount, currency, currency) == amount


@given(rates=rates(), amounts=st.lists(AMOUNTS, min_size=1, max_size=9), base=CURRENCIES, to=CURRENCIES)
def test_sums_convert_as_their_parts_do(rates, amounts, base, to):
    parts = sum(converted(rates, each, base, to) for each in amounts)

    halves = D("0.5").scaleb(-MINOR_DIGITS[to]) * (len(amounts) + 1)  # each is rounded once, and so is the sum
    assert abs(parts - converted(rates, sum(amounts), base, to)) <= halves


@given(rates=rates(), amount=AMOUNTS, base=CURRENCIES, to=CURRENCIES)
def test_sign_is_kept(rates, amount, base, to):
    found = converted(rates, amount, base, to)

    assert found == -converted(rates, -amount, base, to)
    assert found * amount >= 0


@given(rates=rates(), before=AMOUNTS, after=AMOUNTS, to=CURRENCIES)
def test_percentage_is_that_of_the_figures_shown(rates, before, after, to):
    shown = [converted(rates, each, "AUD", to) for each in (before, after)]

    found = difference(*shown)

    assert found.absolute == shown[1] - shown[0]
    if shown[0]:
        exact = (shown[1] - shown[0]) * 100 / abs(shown[0])
        assert abs(found.percent - exact) <= D("0.005")
    else:
        assert found.percent is None

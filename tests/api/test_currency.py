"""Net worth and histories over HTTP in another currency."""

import datetime as dt
from decimal import Decimal

import pytest

from services.history.models import AssetDay, PortfolioDay
from tests.factories import TODAY, make_asset, make_portfolio
from tests.services.history.rolling import add_rates

YESTERDAY = TODAY - dt.timedelta(days=1)


@pytest.fixture
def paths(home):
    """Return the path of a portfolio with two days, and that of an asset in it."""
    add_rates({("AUD", YESTERDAY): "1.6", ("AUD", TODAY): "1.5"})
    with home.scope():
        portfolio = make_portfolio()
        asset = make_asset(portfolio, currency="AUD")
        for day in (YESTERDAY, TODAY):
            AssetDay.objects.create(asset=asset, day=day, value=Decimal("12.50"), estimated=False)
            PortfolioDay.objects.create(
                portfolio=portfolio, day=day, currency="AUD", assets=Decimal(120), debts=Decimal("-12.50"),
                estimated=False, missing=0,
            )  # fmt: skip
    return f"/portfolios/{portfolio.id}", f"/assets/{asset.id}"


def day(on, assets, debts, net_worth):
    return {
        "day": on.isoformat(), "assets": assets, "debts": debts, "net_worth": net_worth, "estimated": False,
        "missing": 0,
    }  # fmt: skip


def test_amounts_come_converted(home, paths):
    portfolio, asset = paths
    span = {"from_": YESTERDAY, "to": TODAY, "currency": "EUR"}
    days = [day(YESTERDAY, "75.00", "-7.81", "67.19"), day(TODAY, "80.00", "-8.33", "71.67")]

    assert home.get(f"{portfolio}/history", **span) == {"currency": "EUR", "days": days}
    assert home.get(f"{portfolio}/net-worth", **span) == {
        "currency": "EUR",
        "start": days[0],
        "end": days[1],
        "assets": {"absolute": "5.00", "percent": "6.67"},
        "debts": {"absolute": "-0.52", "percent": "-6.66"},
        "net_worth": {"absolute": "4.48", "percent": "6.67"},
    }
    values = [(YESTERDAY, "7.81"), (TODAY, "8.33")]
    assert home.get(f"{asset}/history", **span) == {
        "currency": "EUR",
        "days": [{"day": on.isoformat(), "value": value, "estimated": False} for on, value in values],
    }


def test_own_currency_changes_nothing(home, paths):
    for path in (f"{paths[0]}/history", f"{paths[0]}/net-worth", f"{paths[1]}/history"):
        assert home.get(path, to=TODAY, currency="AUD") == home.get(path, to=TODAY)


def test_days_of_a_former_currency_say_so(home, paths):
    home.send("PATCH", paths[0], {"currency": "EUR"})  # the days are worked out again later

    kept = home.get(f"{paths[0]}/history", to=TODAY)

    assert (kept["currency"], kept["days"][-1]["assets"]) == ("AUD", "120.00")
    converted = home.get(f"{paths[0]}/history", to=TODAY, currency="EUR")
    assert (converted["currency"], converted["days"][-1]["assets"]) == ("EUR", "80.00")


REFUSED = [
    ("NZD", 404, "rate_unknown"),
    ("XYZ", 422, "invalid_input"),
    ("eur", 422, "malformed_request"),
    ("", 422, "malformed_request"),
]


@pytest.mark.parametrize(("currency", "status", "code"), REFUSED)
def test_currency_that_nothing_converts_into(home, paths, currency, status, code):
    for path in (f"{paths[0]}/history", f"{paths[0]}/net-worth", f"{paths[1]}/history"):
        refusal = home.refusal("GET", path, query={"to": TODAY, "currency": currency})
        assert refusal == (status, code, {"currency"} if status == 422 else set())

"""The currency that totals are shown in, without a browser."""

import datetime as dt
import re
from decimal import Decimal

import pytest

from fatfire.kit.clock import local_date, now
from fatfire.web.shell import MENU
from services.core import operations as core
from services.core.models import AssetKind, Portfolio, Side
from services.history.models import PortfolioDay
from tenants.isolation import tenant
from tenants.permissions import Role
from tests.factories import make_asset, make_portfolio, make_tenant
from tests.services.history.rolling import add_rates
from tests.web.conftest import sign_in
from tests.web.test_portfolios_page import become, query_count

D = Decimal
TODAY = local_date(now(), "Australia/Sydney")
YESTERDAY = TODAY - dt.timedelta(days=1)
PAGES = ["/", "/net-worth", "/portfolios"]


def text_of(response):
    """Return what a page says, words by single blanks."""
    assert response.status_code == 200, response.content
    main = re.search(r"<main.*?</main>", response.content.decode(), re.DOTALL)[0]
    cents = re.sub(r'<span class="cents">(.*?)</span>', r"\1", main)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cents))


def offered(client, path="/"):
    """Return what the menu offers, as (sent, code), and the code that is marked."""
    page = client.get(path).content.decode()
    found = re.findall(r'<button name="currency" value="(\w*)"( aria-current="true")?><b>(\w+)</b>', page)
    return [(value, code) for value, _, code in found], [code for _, marked, code in found if marked]


def choose(client, currency, path="/"):
    return client.post("/switch-currency", {"currency": currency, "next": path})


def add_day(portfolio, day, assets, debts, **more):
    PortfolioDay.objects.create(
        portfolio=portfolio, day=day, currency=portfolio.currency, assets=D(assets), debts=D(debts),
        **{"estimated": False, "missing": 0} | more,
    )  # fmt: skip


@pytest.fixture
def portfolio(home):
    """Return a portfolio in AUD of two days: with an account in AUD and one in USD."""
    rates = {"AUD": ("1.6", "1.5"), "USD": ("1.2", "1.2"), "SEK": ("11", "11")}
    add_rates(
        {(code, day): each for code, two in rates.items() for day, each in zip((YESTERDAY, TODAY), two, strict=True)}
    )
    with tenant(home.id):
        portfolio = make_portfolio(name="Family")
        for name, currency, value in [("Everyday", "AUD", "900"), ("Dollars", "USD", "80"), ("Loan", "AUD", "-150")]:
            side = Side.ASSET if D(value) > 0 else Side.DEBT
            asset = make_asset(portfolio, name=name, kind=AssetKind.BANK_ACCOUNT, side=side, currency=currency)
            core.set_value(asset_id=asset.id, on=TODAY, value=D(value), at=now())
        add_day(portfolio, YESTERDAY, "800", "-160")
        add_day(portfolio, TODAY, "1000", "-150")
        Portfolio.objects.update(revalue_from=None)
        return Portfolio.objects.get()


def test_menu_offers_the_likely_ones_first(client, portfolio):
    own = [("", "AUD"), ("USD", "USD"), ("EUR", "EUR")]  # the portfolio's, an account's, a common one
    assert offered(client) == ([*own, ("SEK", "SEK")], ["AUD"])


def test_totals_are_converted_day_by_day(client, portfolio):
    assert choose(client, "USD", "/net-worth?range=1m").headers["Location"] == "/net-worth?range=1m"

    page = text_of(client.get("/net-worth?range=1m"))

    assert "Net worth US$680.00 up ▲ +41.67% +US$200 past month" in page  # of 640 by 0.75; 850 by 0.8
    assert "Assets US$800.00 up ▲ +33.33% +US$200 past month" in page
    assert "Debts \u2212US$120.00 unchanged • 0.00% US$0 past month" in page
    table = page.split("Debts")[-1]
    assert f"{TODAY:%-d %b %Y} US$680.00 US$800.00 \u2212US$120.00" in table
    assert f"{YESTERDAY:%-d %b %Y} US$480.00 US$600.00 \u2212US$120.00" in table
    assert "Shown in USD, converted at the daily rates of the European Central Bank: each day at its own." in page
    assert "are estimated" not in page


def test_dashboard_keeps_the_accounts_own_currency(client, portfolio):
    choose(client, "USD")

    page = text_of(client.get("/"))

    assert "Assets US$800.00 up ▲ +33.33% past month" in page
    assert "Bank accounts US$800.00" in page
    assert "Everyday Kept by hand · AUD A$900.00 US$720.00" in page
    assert "Dollars Kept by hand US$80.00 Liabilities" in page
    assert "Loan Kept by hand · AUD \u2212A$150.00 \u2212US$120.00" in page


def test_portfolios_page_shows_both(home, client, portfolio):
    with tenant(home.id):
        second = make_portfolio(name="Second", currency="EUR")
        add_day(second, TODAY, "10", "0")
        third = make_portfolio(name="Third", currency="XAF")  # which nothing converts
        add_day(third, TODAY, "655957", "0")
    client.post("/switch-portfolio", {"portfolio": portfolio.id})
    assert "Shown in" not in text_of(client.get("/portfolios"))
    choose(client, "USD")

    page = text_of(client.get("/portfolios"))

    assert "AUD · Australia/Sydney US$680.00 A$850.00" in page
    assert "EUR · Australia/Sydney US$12.00 €10.00" in page
    assert "XAF · Australia/Sydney FCFA 655,957" in page
    assert "Shown in USD" in page


def test_choice_holds_for_all_portfolios_until_it_is_taken_back(home, client, portfolio):
    with tenant(home.id):
        euros = make_portfolio(name="Euros", currency="EUR")
    choose(client, "USD")
    client.post("/switch-portfolio", {"portfolio": euros.id, "next": "/"})
    assert offered(client)[1] == ["USD"]

    choose(client, "")

    assert offered(client)[1] == ["EUR"]
    assert [each.status_code for each in map(client.get, PAGES)] == [200] * 3


def test_choice_is_forgotten_with_the_session(home, client, portfolio):
    choose(client, "USD")
    client.post("/sign-out")

    assert offered(sign_in("owner@home.example", client))[1] == ["AUD"]


@pytest.mark.parametrize(("currency", "status"), [("XYZ", 422), ("usd", 422), ("XAF", 404), ("<b>", 422)])
def test_unknown_currency_is_refused_and_changes_nothing(client, portfolio, currency, status):
    choose(client, "USD")

    assert choose(client, currency).status_code == status

    assert offered(client)[1] == ["USD"]


def test_currency_is_only_switched_by_a_form_and_to_our_own_pages(client, portfolio):
    assert client.get("/switch-currency").status_code == 405
    assert choose(client, "USD", "https://evil.example/").headers["Location"] == "/"


def test_viewer_may_choose(home, client, portfolio):
    become(home, Role.VIEWER)

    assert choose(client, "USD").status_code == 302
    assert offered(client)[1] == ["USD"]


def test_portfolio_that_nothing_converts_stays_in_its_own_currency(home, client, portfolio):
    choose(client, "USD")
    with tenant(home.id):
        Portfolio.objects.update(currency="XAF")
        PortfolioDay.objects.update(currency="XAF")

    assert offered(client) == ([("", "XAF")], ["XAF"])
    assert "Nothing else: no exchange rates are known for XAF." in client.get("/").content.decode()
    assert "Assets FCFA 1,000" in text_of(client.get("/"))
    page = text_of(client.get("/net-worth"))
    assert "FCFA 850" in page
    assert "converted" not in page


def test_history_in_a_former_currency_is_converted_and_said_to_be_worked_out_again(home, client, portfolio):
    client.post(f"/portfolios/{portfolio.id}/currency", {"currency": "USD", "time_zone": "Australia/Sydney"})

    for path in ("/", "/net-worth"):
        page = text_of(client.get(path))
        assert "The history is being worked out again" in page
        assert "Assets US$800.00" in page
        assert client.get(path, {"waiting": "yes"}).status_code == 204
    with tenant(home.id):
        Portfolio.objects.update(revalue_from=None)
    for path in ("/", "/net-worth"):
        response = client.get(path, {"waiting": "yes"})
        assert "worked out again" not in text_of(response)
        assert b"hx-trigger" not in response.content


def test_history_in_a_former_currency_that_nothing_converts_is_waited_for(client, portfolio):
    client.post(f"/portfolios/{portfolio.id}/currency", {"currency": "XAF", "time_zone": "Australia/Sydney"})

    assert "Your history is being worked out" in text_of(client.get("/net-worth"))
    assert "past month" not in text_of(client.get("/"))


def test_estimated_days_are_marked(home, client, portfolio):
    with tenant(home.id):
        PortfolioDay.objects.filter(day=YESTERDAY).update(estimated=True)

    page = text_of(client.get("/net-worth"))

    assert "Some days are estimated" in page
    assert f"{YESTERDAY:%-d %b %Y} estimated" in page
    assert f"{TODAY:%-d %b %Y} estimated" not in page
    assert b'"estimated": [0]' in client.get("/net-worth").content


def test_more_days_currencies_and_portfolios_take_no_more_queries(home, client, portfolio):
    choose(client, "USD")
    counts = [[query_count(client, path) for path in PAGES]]
    with tenant(home.id):
        for age in range(2, 5):
            add_day(portfolio, TODAY - dt.timedelta(days=age), "800", "-160")
        for currency in ("EUR", "SEK"):
            add_day(make_portfolio(name=currency, currency=currency), TODAY, "10", "0")
            asset = make_asset(portfolio, currency=currency)
            core.set_value(asset_id=asset.id, on=TODAY, value=D(5), at=now())
        Portfolio.objects.update(revalue_from=None)

    client.post("/switch-portfolio", {"portfolio": portfolio.id})

    counts.append([query_count(client, path) for path in PAGES])

    assert counts[0] == counts[1]


def test_other_household_starts_in_its_own_currency(home, client, portfolio):
    choose(client, "USD")
    other = make_tenant(slug="other", currency="EUR")
    with tenant(other.id):
        make_portfolio(name="Theirs", currency="EUR")

    assert offered(sign_in("owner@other.example"))[1] == ["EUR"]
    assert offered(client)[1] == ["USD"]


def test_menu_has_the_groups_in_order_and_shows_none_that_is_empty(client, portfolio):
    assert [each.title for each in MENU] == ["", "Your financials", "Net worth", "Extras"]
    page = client.get("/net-worth").content.decode()

    shown = re.findall(r'<h2 id="menu-\d">([^<]+)</h2>', page)

    assert shown == [each.title for each in MENU if each.title and each.entries]
    assert re.findall(r'href="([^"]+)" aria-current="page"', page) == ["/net-worth"]

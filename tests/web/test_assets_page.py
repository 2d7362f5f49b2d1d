"""The pages of what is kept by hand, without a browser."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from fatfire.kit.clock import local_date, now
from fatfire.web.amounts import read_amount
from services.core import operations as core
from services.core.models import Asset, AssetKind, Side, Valuation
from tenants.isolation import tenant
from tenants.permissions import Role
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value
from tests.web.test_portfolios_page import become, errors_in, query_count

DAY = dt.date(2026, 3, 31)
GOOD = {"name": "House", "kind": "property", "currency": "AUD", "value": "$715,000.00", "on": "2026-03-31"}


@pytest.fixture
def portfolio(home):
    with tenant(home.id):
        return make_portfolio(name="Family")


@pytest.fixture
def house(home, portfolio):
    with tenant(home.id):
        return make_asset(portfolio, name="House", kind=AssetKind.PROPERTY)


def kept(home):
    """Return everything that the pages can change."""
    with tenant(home.id):
        assets = Asset.objects.values_list("name", "kind", "side", "currency", "closed_on")
        return sorted(assets), sorted(Valuation.objects.values_list("on", "value"))


TYPED = [
    # typed, currency, amount
    ("1,234.50", "AUD", "1234.50"),
    ("$1,234.50", "AUD", "1234.50"),
    ("1234.5", "AUD", "1234.5"),
    ("$ 1234", "AUD", "1234"),
    ("A$5", "AUD", "5"),
    ("aud 5", "AUD", "5"),
    ("US$5", "USD", "5"),
    ("€1,000,000.01", "EUR", "1000000.01"),
    ("CHF 10", "CHF", "10"),
    ("¥1,500", "JPY", "1500"),
    ("0", "AUD", "0"),
    ("92,233,720,368,547.07", "AUD", "92233720368547.07"),
]


@pytest.mark.parametrize(("text", "currency", "amount"), TYPED)
def test_amount_is_read_exactly(text, currency, amount):
    assert str(read_amount(text, currency)) == amount


COMMAS = "Enter an amount such as 1,234.50, with commas only between thousands."
UNREADABLE = [
    # typed, currency, words
    ("12,40o", "AUD", COMMAS),
    ("1,50", "AUD", COMMAS),
    ("1.234,50", "AUD", COMMAS),
    ("1 234", "AUD", COMMAS),
    (".5", "AUD", COMMAS),
    ("5.", "AUD", COMMAS),
    ("1e5", "AUD", COMMAS),
    ("lots", "AUD", COMMAS),
    ("\uff15", "AUD", COMMAS),
    ("1,50", "JPY", "Enter an amount such as 1,234, with commas only between thousands."),
    ("-5", "AUD", "Leave out the minus: enter an amount such as 1,234.50."),
    ("\u2212$5", "AUD", "Leave out the minus: enter an amount such as 1,234.50."),
    ("€5", "AUD", "This amount is in AUD: enter it such as 1,234.50."),
    ("US$5", "AUD", "This amount is in AUD: enter it such as 1,234.50."),
    ("$5", "EUR", "This amount is in EUR: enter it such as 1,234.50."),
]


@pytest.mark.parametrize(("text", "currency", "words"), UNREADABLE)
def test_amount_that_may_mean_something_else_is_refused(text, currency, words):
    with pytest.raises(ValidationError) as refused:
        read_amount(text, currency)

    assert refused.value.messages == [words]


ADDED = [
    # kind chosen, kind, side, value stored
    ("property", AssetKind.PROPERTY, Side.ASSET, "715000"),
    ("other", AssetKind.OTHER, Side.ASSET, "715000"),
    ("loan", AssetKind.LOAN, Side.DEBT, "-715000"),
    ("other_debt", AssetKind.OTHER, Side.DEBT, "-715000"),
]


@pytest.mark.parametrize(("chosen", "kind", "side", "value"), ADDED)
def test_asset_is_added_with_its_first_value(home, client, portfolio, chosen, kind, side, value):
    response = client.post("/assets/new", GOOD | {"kind": chosen})

    with tenant(home.id):
        asset = Asset.objects.get()
    assert (response.status_code, response.headers["Location"]) == (303, f"/assets/{asset.id}")
    assert kept(home) == ([("House", kind, side, "AUD", None)], [(DAY, Decimal(value))])
    assert "House added" in client.get(f"/assets/{asset.id}").content.decode()


DAYS = "Enter a day such as 2026-03-31 (year, month, day)."
REFUSED = [
    # what is typed instead, field, words
    ({"name": " "}, "name", "Enter a name."),
    ({"name": "n" * 121}, "name", "A name has at most 120 characters; this one has 121."),
    ({"kind": "yacht"}, "kind", "Choose what it is."),
    ({"currency": "dollars"}, "currency", "Enter the three letters of a currency, such as AUD or USD."),
    ({"value": ""}, "value", "Enter an amount such as 1,234.50."),
    ({"value": "12,40o"}, "value", COMMAS),
    ({"value": "1.005"}, "value", "AUD has 2 decimals."),
    ({"value": "1" * 41}, "value", "That is too long for an amount. Enter one such as 1,234.50."),
    ({"value": "1" * 40}, "value", "That is more than can be kept here."),
    ({"on": ""}, "on", DAYS),
    ({"on": "31/03/2026"}, "on", DAYS),
    ({"on": "2999-01-01"}, "on", "A day between 1900-01-01 and today."),
]


@pytest.mark.parametrize(("typed", "field", "words"), REFUSED)
def test_refusal_stands_beside_the_field_and_changes_nothing(home, client, house, typed, field, words):
    before = kept(home)
    paths = ["/assets/new", *([f"/assets/{house.id}"] if field in {"value", "on"} else [])]
    paths += [f"/assets/{house.id}/rename"] if field == "name" else []
    paths += [f"/assets/{house.id}/close"] if field == "on" else []

    for path in paths:
        response = client.post(path, GOOD | typed)

        assert (response.status_code, errors_in(response)) == (422, {field: words})
        if typed[field].strip() and field != "kind":
            assert f'value="{typed[field]}"' in response.content.decode()
    assert kept(home) == before


def test_value_of_a_day_is_set_and_replaced(home, client, house):
    for value in ("700,000", "$715,000.50"):
        response = client.post(f"/assets/{house.id}", {"value": value, "on": "2026-03-31"})
        assert (response.status_code, response.headers["Location"]) == (303, f"/assets/{house.id}")

    assert kept(home)[1] == [(DAY, Decimal("715000.50"))]
    page = client.get(f"/assets/{house.id}").content.decode()
    assert "Value saved" in page
    assert "31 Mar 2026" in page
    assert '$715,000<span class="cents">.50</span>' in client.get("/assets").content.decode()


def test_what_is_owed_is_entered_positive_and_stored_negative(home, client, portfolio):
    with tenant(home.id):
        loan = make_asset(portfolio, name="Loan", kind=AssetKind.LOAN, side=Side.DEBT)
    assert "Amount owed in AUD" in client.get(f"/assets/{loan.id}").content.decode()

    client.post(f"/assets/{loan.id}", {"value": "1,000", "on": "2026-03-31"})

    assert kept(home)[1] == [(DAY, Decimal(-1000))]
    assert "\u2212$1,000" in client.get("/assets").content.decode()


def test_asset_is_renamed(home, client, house):
    assert client.post(f"/assets/{house.id}/rename", {"name": "Home"}).status_code == 303

    assert kept(home)[0][0][0] == "Home"


def test_closing_asks_first_and_keeps_the_history(home, client, house):
    today = local_date(now(), "Australia/Sydney")
    with tenant(home.id):
        set_value(house, "10", on=DAY)
    assert "Close House?" in client.get(f"/assets/{house.id}/close").content.decode()
    assert kept(home)[0][0][-1] is None

    response = client.post(f"/assets/{house.id}/close", {"on": today.isoformat()})

    assert (response.status_code, response.headers["Location"]) == (303, "/assets")
    assert kept(home) == ([("House", "property", "asset", "AUD", today)], [(DAY, Decimal(10))])
    page = client.get("/assets").content.decode()
    assert "House closed" in page
    assert "closed on" in page


@pytest.mark.parametrize("action", ["", "/close"])
def test_closed_asset_says_so_on_the_page(home, client, house, action):
    with tenant(home.id):
        core.close_assets(asset_ids=[house.id], on=DAY, at=AT)
    before = kept(home)

    response = client.post(f"/assets/{house.id}{action}", {"value": "5", "on": "2026-03-31"})

    assert (response.status_code, errors_in(response)) == (422, {})
    assert "The asset is closed." in response.content.decode()
    assert kept(home) == before
    assert "Save value" not in client.get(f"/assets/{house.id}").content.decode()


def test_closed_asset_can_be_opened_again(home, client, house):
    with tenant(home.id):
        set_value(house, "10", on=DAY)
        core.close_asset(asset_id=house.id, on=DAY, at=AT)
    page = client.get(f"/assets/{house.id}").content.decode()
    assert f'action="/assets/{house.id}/reopen"' in page
    assert client.get(f"/assets/{house.id}/reopen").status_code == 405

    response = client.post(f"/assets/{house.id}/reopen")

    assert (response.status_code, response.headers["Location"]) == (303, f"/assets/{house.id}")
    assert kept(home) == ([("House", "property", "asset", "AUD", None)], [(DAY, Decimal(10))])
    page = client.get(f"/assets/{house.id}").content.decode()
    assert "House counts again" in page
    assert "/reopen" not in page
    assert client.post(f"/assets/{house.id}/reopen").status_code == 409


ROUTES = ["/assets/{}", "/assets/{}/rename", "/assets/{}/close", "/assets/{}/reopen"]
BODY = {"name": "New", "value": "5", "on": "2026-03-31"}


@pytest.mark.parametrize("route", ROUTES)
def test_asset_of_another_tenant_is_nowhere(client, route):
    other = make_tenant()
    with tenant(other.id):
        url = route.format(make_asset(make_portfolio()).id)
    before = kept(other)

    assert client.get(url).status_code == (405 if route.endswith("reopen") else 404)
    assert client.post(url, BODY).status_code == 404
    assert kept(other) == before


@pytest.mark.parametrize("route", ROUTES)
def test_asset_of_a_bank_is_not_kept_here(home, client, portfolio, route):
    with tenant(home.id):
        imported = core.import_asset(
            portfolio_id=portfolio.id, source="plaid", external_id="a1", name="Everyday", kind=AssetKind.BANK_ACCOUNT,
            side=Side.ASSET, currency="AUD", institution="Bank", at=AT,
        )  # fmt: skip
    before = kept(home)

    assert client.post(route.format(imported.id), BODY).status_code == 409
    assert "Everyday" not in client.get("/assets").content.decode()
    assert kept(home) == before


def test_viewer_reads_only(home, client, house):
    before = kept(home)
    become(home, Role.VIEWER)

    pages = [client.get(path) for path in ("/assets", f"/assets/{house.id}")]
    assert [each.status_code for each in pages] == [200, 200]
    for each in pages:
        main = each.content.decode().split("<main")[1]
        assert all(word not in main for word in ("<form", "/assets/new", "/rename", "/close"))
    for path in ("/assets/new", *(route.format(house.id) for route in ROUTES)):
        assert client.post(path, GOOD).status_code == 403
    for path in ("/assets/new", *(route.format(house.id) for route in ROUTES[1:-1])):
        assert client.get(path).status_code == 403
    assert kept(home) == before


EMPTY = [
    # has a portfolio, role, link to the next step
    (False, Role.OWNER, '<a class="button primary" href="/portfolios/new">'),
    (True, Role.MEMBER, '<a class="button primary" href="/assets/new">'),
    (False, Role.VIEWER, None),
    (True, Role.VIEWER, None),
]


@pytest.mark.parametrize(("has_portfolio", "role", "link"), EMPTY)
def test_empty_page_offers_the_next_step(home, client, has_portfolio, role, link):
    if has_portfolio:
        with tenant(home.id):
            make_portfolio()
    become(home, role)

    page = client.get("/assets").content.decode()

    assert (link in page) if link else ("button primary" not in page)


def test_more_rows_take_no_more_queries(home, client, portfolio, house):
    counts = []
    for added in (0, 2):
        with tenant(home.id):
            for number in range(added):
                set_value(make_asset(portfolio), "5")
                set_value(house, "5", on=DAY - dt.timedelta(days=number))
        counts.append([query_count(client, path) for path in ("/assets", f"/assets/{house.id}")])

    assert counts[0] == counts[1]


def test_values_come_page_by_page(home, client, house):
    days = [DAY - dt.timedelta(days=age) for age in range(51)]
    with tenant(home.id):
        for day in days:
            set_value(house, "5", on=day)

    first = client.get(f"/assets/{house.id}").content.decode()
    assert days[-1].strftime(">%-d %b %Y<") not in first
    older = client.get(first.split('class="link" href="')[1].split('"')[0].replace("&amp;", "&")).content.decode()
    assert days[-1].strftime(">%-d %b %Y<") in older

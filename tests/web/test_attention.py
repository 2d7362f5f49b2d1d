"""What the dashboard says needs attention, and what it says while there is nothing to show."""

import datetime as dt
import re
from decimal import Decimal

import pytest

from fatfire.kit.clock import local_date, now
from services.core import operations as core
from services.core.models import Asset, AssetKind, Portfolio, Side
from services.history.models import PortfolioDay
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkState
from services.jobs import operations as jobs
from services.jobs.models import Job, State
from tenants.isolation import tenant
from tenants.permissions import Role
from tests.factories import make_asset, make_portfolio
from tests.web.test_portfolios_page import become, query_count

TODAY = local_date(now(), "Australia/Sydney")


@pytest.fixture
def portfolio(home):
    """Return a portfolio with a house that was valued today."""
    with tenant(home.id):
        portfolio = make_portfolio(name="Family")
        value(make_asset(portfolio, name="House", kind=AssetKind.PROPERTY))
        return portfolio


def value(asset, *, days_ago=0):
    core.set_value(asset_id=asset.id, on=TODAY - dt.timedelta(days=days_ago), value=Decimal(500), at=now())
    Portfolio.objects.update(revalue_from=None)


def link(portfolio, name, *, state=LinkState.ACTIVE, hours_ago=1, job=None, error_code=""):
    """Return a link to a bank, read so long ago (None: never), whose newest job is in that state."""
    found = Link.objects.create(
        portfolio=portfolio, provider="plaid", state=state, institution=name, item_id=name, access_token=b"sealed",
        synced_at=None if hours_ago is None else now() - dt.timedelta(hours=hours_ago),
    )  # fmt: skip
    if job:
        made = jobs.enqueue(kind=SYNC_LINK, subject_id=found.id, at=now())
        ended = None if job in (State.QUEUED, State.RUNNING) else now()
        Job.objects.filter(id=made.id).update(state=job, finished_at=ended, error_code=error_code)
    return found


def notices(client):
    """Return (title, path) of what needs attention, in order."""
    page = client.get("/").content.decode()
    found = re.search(r'<ul class="notices">.*?</ul>', page, re.DOTALL)
    assert ("Needs attention" in page) == bool(found) == ("Everything seems fine." not in page)
    rows = re.findall(r"<p>([^<]+).*?href=\"([^\"]+)\"", found[0], re.DOTALL) if found else []
    return [(title.strip(), path) for title, path in rows]


def test_nothing_to_mend_shows_no_section(home, client, portfolio):
    with tenant(home.id):
        link(portfolio, "Hooli", job=State.SUCCEEDED)
        link(portfolio, "Old", state=LinkState.REMOVED)
        link(portfolio, "Wattle", hours_ago=47)
        value(make_asset(portfolio, name="Car"), days_ago=90)

    assert notices(client) == []


def test_gravest_comes_first(home, client, portfolio):
    with tenant(home.id):
        stale = link(portfolio, "Stale", hours_ago=49)
        failed = link(portfolio, "Failed", hours_ago=100, job=State.FAILED, error_code="temporarily_unavailable")
        revoked = link(portfolio, "Revoked", state=LinkState.REVOKED, hours_ago=100, job=State.FAILED)
        link(portfolio, "Busy", hours_ago=100, job=State.RUNNING)
        car = make_asset(portfolio, name="Car")
        value(car, days_ago=92)
        boat = make_asset(portfolio, name="Boat")
        value(make_asset(portfolio, name="Loan to Fatou", currency="XAF"))
        PortfolioDay.objects.create(
            portfolio=portfolio, day=TODAY, currency="AUD", assets=Decimal(1000), debts=Decimal(0),
            estimated=True, missing=2,
        )  # fmt: skip
        make_portfolio(name="Holiday house")
    client.post("/switch-portfolio", {"portfolio": portfolio.id})

    assert notices(client) == [
        ("Revoked wants a new sign-in", f"/accounts#bank-{revoked.id}"),
        ("Failed could not be read", f"/accounts#bank-{failed.id}"),
        ("Boat: no value yet", f"/assets/{boat.id}"),
        ("No exchange rate for XAF", "/portfolios"),
        ("Stale was last read 2 days ago", f"/accounts#bank-{stale.id}"),
        ("Car has an old value", f"/assets/{car.id}"),
        ("Totals are estimated", "/net-worth"),
        ("Nothing in Holiday house yet", "/portfolios"),
    ]


def test_several_of_a_kind_are_one_notice(home, client, portfolio):
    with tenant(home.id):
        for name in ("Car", "Van"):
            value(make_asset(portfolio, name=name), days_ago=200)
        for name in ("Boat", "Canoe", "Raft"):
            make_asset(portfolio, name=name)

    (unknown, _), (old, path) = notices(client)

    assert re.fullmatch(r"(Boat|Canoe|Raft) and 2 more: no value yet", unknown)
    assert (old, path) == ("2 things have old values", "/assets")


def test_account_of_a_bank_without_a_value_is_mended_at_the_bank(home, client, portfolio):
    with tenant(home.id):
        core.import_asset(
            portfolio_id=portfolio.id, source="plaid", external_id="1", name="Everyday", kind=AssetKind.BANK_ACCOUNT,
            side=Side.ASSET, currency="AUD", institution="Hooli", at=now(),
        )  # fmt: skip

    assert notices(client) == [("Everyday: no value yet", "/accounts")]


def test_what_is_closed_and_what_others_have_needs_no_attention(home, client, portfolio):
    with tenant(home.id):
        car = make_asset(portfolio, name="Car")
        value(car, days_ago=200)
        core.close_asset(asset_id=car.id, on=TODAY, at=now())
        second = make_portfolio(name="Second")
        value(make_asset(second, name="Van"), days_ago=200)
        link(second, "Hooli", state=LinkState.REVOKED)
        Portfolio.objects.update(revalue_from=None)
    client.post("/switch-portfolio", {"portfolio": portfolio.id})

    assert notices(client) == []


def test_more_to_mend_takes_no_more_queries(home, client, portfolio):
    counts = []
    for number in range(3):
        with tenant(home.id):
            link(portfolio, f"Revoked {number}", state=LinkState.REVOKED)
            link(portfolio, f"Failed {number}", job=State.FAILED)
            make_asset(portfolio, name=f"Boat {number}")
            value(make_asset(portfolio, name=f"Car {number}"), days_ago=200)
            make_portfolio(name=f"Empty {number}")
        client.post("/switch-portfolio", {"portfolio": portfolio.id})
        counts.append(query_count(client, "/"))

    assert counts == [counts[0]] * 3


def test_names_are_escaped(home, client, portfolio):
    with tenant(home.id):
        link(portfolio, "<script>", state=LinkState.REVOKED)
        Asset.objects.update(institution="<i>Bank</i>")

    page = client.get("/").content.decode()

    assert "&lt;script&gt; wants a new sign-in" in page
    assert "&lt;i&gt;Bank&lt;/i&gt;" in page


STATES = ["/", "/net-worth"]


@pytest.mark.parametrize("path", STATES)
@pytest.mark.parametrize("role", [Role.OWNER, Role.VIEWER])
def test_without_a_portfolio_the_next_step_is_to_create_one(home, client, path, role):
    become(home, role)

    page = client.get(path).content.decode()

    assert "No portfolio yet" in page
    assert ('href="/portfolios/new"' in page) == (role == Role.OWNER)


@pytest.mark.parametrize(("path", "words"), [("/", "Nothing here yet"), ("/net-worth", "No history yet")])
def test_without_accounts_the_next_step_is_to_add_one(home, client, path, words):
    with tenant(home.id):
        make_portfolio()

    page = client.get(path).content.decode()

    assert words in page
    assert 'class="button primary" href="/accounts"' in page


WAITING = [("/", "Your bank is being read"), ("/net-worth", "Your history is being worked out")]


@pytest.mark.parametrize(("path", "words"), WAITING)
def test_first_import_is_waited_for(home, client, path, words):
    with tenant(home.id):
        portfolio = make_portfolio()
        found = link(portfolio, "", hours_ago=None, job=State.QUEUED)

    page = client.get(path).content.decode()
    assert words in page
    assert 'hx-trigger="every 3s"' in page
    assert client.get(path, {"waiting": "yes"}).status_code == 204

    with tenant(home.id):
        Job.objects.filter(subject_id=found.id).update(state=State.FAILED, finished_at=now())
    response = client.get(path, {"waiting": "yes"})
    assert response.status_code == 200
    assert words not in response.content.decode()


def test_another_first_import_does_not_hide_what_is_known(home, client, portfolio):
    with tenant(home.id):
        link(portfolio, "", hours_ago=None, job=State.RUNNING)

    page = client.get("/").content.decode()

    assert "A bank is being read for the first time" in page
    assert "House" in page

"""Linking a bank over HTTP, with the running bank simulator, from the first call to the last."""

import pytest
from pydantic import SecretStr

from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.institutions import WATTLE
from tests.contracts.bank import running_bank


@pytest.fixture
def bank(settings, tmp_path):
    with running_bank(tmp_path / "bank.sqlite3") as bank:
        settings.PLAID_URL, settings.PLAID_CLIENT_ID, settings.PLAID_SECRET = bank.url, CLIENT_ID, SecretStr(SECRET)
        yield bank


@pytest.fixture
def started(home, bank):
    """Return a link that waits for its person, in a portfolio of Sydney."""
    portfolio = home.send("POST", "/portfolios", {"name": "Ours"})
    return home.send("POST", "/links", {"portfolio_id": portfolio["id"]})


def sign_in(bank):
    """Return what the bank's widget gives a person who has signed in."""
    body = {"institution_id": WATTLE.institution_id, "initial_products": ["transactions"]}
    return bank.sandbox("/sandbox/public_token/create", **body)["public_token"]


def test_link_from_start_to_removal(home, bank, started, run_jobs):
    link = f"/links/{started['id']}"
    assert started.keys() == {"id", "link_token", "hosted_url", "expires_at"}
    assert home.get(link)["state"] == "pending"

    completed = home.send("POST", f"{link}/complete", {"public_token": sign_in(bank)})
    assert completed["link"]["state"] == "active"
    run_jobs()
    assert home.get(link)["institution"] == WATTLE.name
    assert home.get(f"/jobs/{completed['job_id']}")["state"] == "succeeded"
    assets = home.get("/assets")["items"]
    assert len(assets) > 0
    assert {(each["institution"], each["is_manual"]) for each in assets} == {(WATTLE.name, False)}
    imported = home.get("/transactions", limit=500)["items"]
    assert {each["asset_id"] for each in imported} <= {each["id"] for each in assets}
    assert home.get(link)["synced_at"] is not None

    refreshed = home.send("POST", f"{link}/refresh")
    run_jobs()
    assert home.get(f"/jobs/{refreshed['job_id']}")["state"] == "succeeded"
    again = home.get("/transactions", limit=500)["items"]
    assert {each["id"] for each in imported} <= {each["id"] for each in again}

    removed = home.send("DELETE", link)
    run_jobs()
    assert home.get(f"/jobs/{removed['job_id']}")["state"] == "succeeded"
    assert home.get(link)["state"] == "removed"
    assert home.get("/assets")["items"] == []
    closed = home.get("/assets", with_closed="true")["items"]
    assert {each["id"] for each in closed} == {each["id"] for each in assets}
    assert home.refusal("DELETE", link) == (409, "link_removed", set())
    assert home.refusal("POST", f"{link}/refresh") == (409, "link_removed", set())
    assert home.refusal("POST", f"{link}/complete", {}) == (409, "link_removed", set())


def test_second_completion_finds_the_first(home, bank, started, run_jobs):
    link, body = f"/links/{started['id']}", {"public_token": sign_in(bank)}
    first = home.send("POST", f"{link}/complete", body)

    second = home.send("POST", f"{link}/complete", body)

    assert second == first
    run_jobs()
    assert [each["kind"] for each in home.get("/jobs", subject_id=started["id"])["items"]] == ["integration.sync_link"]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (409, "link_not_finished", set())),
        ({"public_token": "public-sandbox-nobody"}, (409, "public_token_invalid", set())),
        ({"public_token": ""}, (422, "malformed_request", {"public_token"})),
    ],
)
def test_link_is_not_completed_without_a_sign_in(home, started, body, refusal):
    link = f"/links/{started['id']}"

    assert home.refusal("POST", f"{link}/complete", body) == refusal
    assert home.get(link)["state"] == "pending"
    assert home.refusal("POST", f"{link}/refresh") == (409, "link_not_finished", set())


def test_bank_that_is_down_is_said_to_be(home, settings, bank, started):
    settings.PLAID_URL = "http://127.0.0.1:9"
    portfolio_id = home.get(f"/links/{started['id']}")["portfolio_id"]

    down = (503, "temporarily_unavailable", set())
    assert home.refusal("POST", "/links", {"portfolio_id": portfolio_id}) == down
    assert home.refusal("POST", f"/links/{started['id']}/complete", {"public_token": "x"}) == down
    assert [each["state"] for each in home.get("/links")["items"]] == ["pending"]


def test_bank_that_is_not_set_up_is_said_to_be(home, settings):
    settings.PLAID_URL = ""
    portfolio = home.send("POST", "/portfolios", {"name": "Ours"})

    assert home.refusal("POST", "/links", {"portfolio_id": portfolio["id"]}) == (503, "bank_not_configured", set())


@pytest.mark.parametrize("return_to", ["javascript:alert(1)", "//evil.example", "x", "https://" + "x" * 500])
def test_return_address_is_a_web_address(home, bank, return_to):
    portfolio = home.send("POST", "/portfolios", {"name": "Ours"})

    refusal = home.refusal("POST", "/links", {"portfolio_id": portfolio["id"], "return_to": return_to})
    assert refusal == (422, "malformed_request", {"return_to"})

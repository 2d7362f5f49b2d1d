"""The pages on the way to a bank: which one, and signing in there again."""

import html
import re
import uuid

import httpx
import pytest

from services.core.models import Asset
from services.integration.models import Link, LinkState
from services.integration.sandbox.institutions import INSTITUTIONS, SEQUOIA, WATTLE
from tenants.isolation import tenant
from tests.web.banks import only_link, text_of, visit_bank

HTMX = {"HX-Request": "true"}
NOBODYS = uuid.UUID(int=1)
STYLE = re.compile(r" style=|<script>|onclick|javascript:")


def banks_in(response):
    return re.findall(r'name="institution_id" value="(\w+)"', response.content.decode())


def test_banks_are_offered_before_one_goes_to_any(bank, home, portfolio, client):
    response = client.get("/link-to-bank")

    assert banks_in(response) == [each.institution_id for each in INSTITUTIONS.values()]
    assert "Wattle Bank" in text_of(response)
    assert not STYLE.search(response.content.decode())
    with tenant(home.id):
        assert not Link.objects.exists()


SEARCHES = [("wattle", [WATTLE]), ("  SEQUOIA  trust ", [SEQUOIA]), ("no such bank", [])]


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
@pytest.mark.parametrize(("query", "plans"), SEARCHES)
def test_banks_are_found_by_name(bank, home, portfolio, client, query, plans, headers):
    response = client.get("/link-to-bank", {"q": query}, headers=headers)

    assert banks_in(response) == [each.institution_id for each in plans]
    assert ("No bank here has" in text_of(response)) == (not plans)
    assert ("<html" in response.content.decode()) == (not headers)
    assert (f"{len(plans)} bank" in text_of(response)) == bool(headers)


def test_what_was_looked_for_is_text(bank, home, portfolio, client):
    shown = client.get("/link-to-bank", {"q": '"><script>alert(1)</script>'}).content.decode()

    assert "<script>alert" not in shown


def test_chosen_bank_is_first_at_the_bank_and_names_the_link(bank, home, portfolio, client):
    response = client.post("/link-to-bank", {"institution_id": SEQUOIA.institution_id})

    with httpx.Client(trust_env=False) as browser:
        page = browser.get(response.headers["Refresh"].removeprefix("0;url=")).text
    assert f'value="{SEQUOIA.institution_id}" required checked' in page
    assert (only_link(home).institution, only_link(home).institution_id) == (SEQUOIA.name, "")
    assert f"{SEQUOIA.name} Not finished" in text_of(client.get("/accounts"))


def test_bank_that_nobody_knows_is_refused_in_words(bank, home, portfolio, client):
    response = client.post("/link-to-bank", {"institution_id": "ins_0"})

    assert (response.status_code, "Choose another one" in text_of(response)) == (404, True)
    with tenant(home.id):
        assert not Link.objects.exists()


DOWN = [("http://127.0.0.1:9", "can't be reached"), ("", "no bank can be linked")]


@pytest.mark.parametrize(("url", "words"), DOWN)
@pytest.mark.parametrize(("headers", "status"), [({}, 503), (HTMX, 200)], ids=["page", "htmx"])
def test_provider_that_is_down_is_said_where_the_banks_would_be(
    home, portfolio, client, settings, url, words, headers, status
):
    settings.PLAID_URL = url

    response = client.get("/link-to-bank", {"q": "wattle"}, headers=headers)

    assert (response.status_code, words in html.unescape(text_of(response))) == (status, True)
    assert banks_in(response) == []


def revoke(bank, link_id, run_jobs, client):
    """Have the bank ask for a new sign-in, and let the next import find that out."""
    item_id = bank.store.items()[0].item_id
    bank.store.set_login_required(item_id, True)
    client.post(f"/links/{link_id}/refresh")
    run_jobs()


def test_revoked_link_is_renewed_at_the_bank(bank, home, portfolio, client, link_id, run_jobs):
    with tenant(home.id):
        before = sorted(Asset.objects.values_list("id", "name", "external_id", "closed_on"))
    revoke(bank, link_id, run_jobs, client)
    shown = text_of(client.get("/accounts"))
    assert "Needs a new sign-in" in shown
    assert "Your accounts and their history stay as they are" in shown

    address = client.post(f"/links/{link_id}/renew").headers["Refresh"].removeprefix("0;url=")
    assert client.post(f"/links/{link_id}/return").status_code == 409  # nobody was at the bank yet
    assert only_link(home).state == LinkState.REVOKED
    assert visit_bank(address) == f"http://testserver/links/{link_id}/return"
    assert "reads what is new" in text_of(client.get(f"/links/{link_id}/return"))
    assert client.post(f"/links/{link_id}/return").status_code == 303
    run_jobs()

    assert only_link(home).state == LinkState.ACTIVE
    assert "Linked" in text_of(client.get("/accounts"))
    with tenant(home.id):
        assert sorted(Asset.objects.values_list("id", "name", "external_id", "closed_on")) == before


def test_link_that_the_bank_forgot_can_not_be_renewed_and_says_what_helps(bank, home, portfolio, client, link_id):
    bank.store.remove_item(bank.store.items()[0].item_id)

    response = client.post(f"/links/{link_id}/renew")

    assert (response.status_code, "Link the bank again, then remove this link" in text_of(response)) == (409, True)


def test_renewal_while_the_bank_is_down_changes_nothing(bank, home, portfolio, client, link_id, settings):
    settings.PLAID_URL = "http://127.0.0.1:9"

    response = client.post(f"/links/{link_id}/renew")

    assert (response.status_code, "Nothing was changed" in text_of(response)) == (503, True)
    assert only_link(home).state == LinkState.ACTIVE

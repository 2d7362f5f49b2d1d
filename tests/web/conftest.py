"""A person who is signed in, for tests without a browser."""

import re

import pytest
from django.core import mail
from django.test import Client

from fatfire.kit.clock import now
from tenants.isolation import tenant
from tests.factories import make_portfolio, make_tenant
from tests.sign_in import send_links
from tests.slices.linked import connected_bank
from tests.web.banks import link_into


def sign_in(email: str, client: Client | None = None) -> Client:
    """Return a client that went the whole way: form, mail, link, button."""
    client = client or Client()
    path = ask_for_link(email, client)
    assert client.post(path).status_code == 302
    return client


def ask_for_link(email: str, client: Client) -> str:
    """Fill in the form, let the mail be sent, and return the path of the link in the mail."""
    mail.outbox.clear()
    client.post("/sign-in", {"email": email})
    send_links()
    return re.search(r"http://testserver(/sign-in/\S+)", mail.outbox[0].body)[1]


@pytest.fixture
def home(database):
    return make_tenant(slug="home")


@pytest.fixture
def client(home):
    return sign_in("owner@home.example")


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        running.clock.now = now()  # the site lives in the real present
        yield running


@pytest.fixture
def portfolio(home):
    with tenant(home.id):
        return make_portfolio(name="Family")


@pytest.fixture
def link_id(bank, home, portfolio, run_jobs):
    """Return the id of a link whose accounts are read."""
    made = link_into(bank, home, portfolio)
    run_jobs()
    return made

"""A person who is signed in, for tests without a browser."""

import re

import pytest
from django.core import mail
from django.test import Client

from tests.factories import make_tenant
from tests.sign_in import send_links


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

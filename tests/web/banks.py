"""Linking banks as the tests of their pages do."""

import re

import httpx

from fatfire.kit.clock import now
from services.integration import operations as integration
from services.integration.models import Link
from services.integration.sandbox.institutions import WATTLE
from tenants.isolation import tenant
from tests.factories import owner_id
from tests.slices.linked import public_token


def link_into(bank, owner, portfolio):
    """Return the id of a link in use; its first import is queued."""
    at = now()
    started = integration.start_link(tenant_id=owner.id, portfolio_id=portfolio.id, user_id=owner_id(owner), at=at)
    token = public_token(bank)
    integration.complete_link(tenant_id=owner.id, link_id=started.link_id, public_token=token, at=at)
    return started.link_id


def text_of(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def only_link(home):
    with tenant(home.id):
        return Link.objects.get()


def start(client, home):
    response = client.post("/link-to-bank")
    assert response.status_code == 200
    return only_link(home).id, response.headers["Refresh"].removeprefix("0;url=")


def visit_bank(address, answer="approve"):
    """Answer on the bank's page; return where it sends the browser."""
    with httpx.Client(trust_env=False) as browser:
        browser.get(address)
        done = browser.post(address, data={"institution_id": WATTLE.institution_id, "answer": answer})
    return done.headers["Location"]

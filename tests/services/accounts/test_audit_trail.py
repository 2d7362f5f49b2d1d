"""The audit trail over HTTP: what was done, newest first, by the person whose key did it."""

import json
import uuid

import pytest
from pydantic import SecretStr

from services.integration.sandbox.app import CLIENT_ID, SECRET
from tenants import audit
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tenants.permissions import Role
from tests.api.document import call
from tests.contracts.bank import running_bank
from tests.factories import AT, make_key, make_tenant


@pytest.fixture
def owner(database):
    return make_tenant()


def events(key, **query):
    """Return a page of the trail."""
    response = call("GET", "/api/v1/audit-events", key=key, query=query)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def send(key, method, path, body):
    response = call(method, f"/api/v1{path}", key=key, body=json.dumps(body))
    assert 200 <= response.status_code < 300, response.content
    return response.json()


def user_of(key):
    return call("GET", "/api/v1/me", key=key).json()["user_id"]


def test_event_names_who_did_it(owner):
    admin, member = make_key(owner, Role.ADMIN), make_key(owner, Role.MEMBER)
    elsewhere = make_tenant()
    send(make_key(elsewhere), "POST", "/portfolios", {"name": "Theirs"})

    portfolio = send(member, "POST", "/portfolios", {"name": "Ours"})
    asset = send(admin, "POST", "/assets", {"portfolio_id": portfolio["id"], "name": "Car", "kind": "vehicle"})

    page = events(admin)
    with tenant(owner.id):
        recorded = {event.subject: event for event in AuditEvent.objects.exclude(subject="api_key")}
    assert page["next_cursor"] is None
    assert [each["actor_id"] for each in page["items"] if each["subject"] == "api_key"] == [None, None]
    assert [each for each in page["items"] if each["subject"] != "api_key"] == [
        {
            "id": str(recorded["asset"].id),
            "at": recorded["asset"].at.isoformat(),
            "actor_id": user_of(admin),
            "action": "create",
            "subject": "asset",
            "subject_id": asset["id"],
            "details": {"name": "Car"},
        },
        {
            "id": str(recorded["portfolio"].id),
            "at": recorded["portfolio"].at.isoformat(),
            "actor_id": user_of(member),
            "action": "create",
            "subject": "portfolio",
            "subject_id": portfolio["id"],
            "details": {"name": "Ours"},
        },
    ]


def test_event_of_an_operation_with_its_own_transactions_names_who_did_it(owner, settings, tmp_path):
    admin, member = make_key(owner, Role.ADMIN), make_key(owner, Role.MEMBER)
    portfolio = send(admin, "POST", "/portfolios", {"name": "Ours"})
    with running_bank(tmp_path / "bank.sqlite3") as bank:
        settings.PLAID_URL, settings.PLAID_CLIENT_ID, settings.PLAID_SECRET = bank.url, CLIENT_ID, SecretStr(SECRET)
        link = send(member, "POST", "/links", {"portfolio_id": portfolio["id"]})

    (started,) = [each for each in events(admin)["items"] if each["subject"] == "link"]

    assert (started["actor_id"], started["action"], started["subject_id"]) == (user_of(member), "start", link["id"])


def test_pages_show_every_event_once_newest_first(owner):
    admin = make_key(owner, Role.ADMIN)
    with tenant(owner.id):
        for number in range(4):
            audit.record(action="rename", subject="asset", subject_id=uuid.uuid4(), at=AT, name=f"Number {number}")
        expected = sorted((str(each.id) for each in AuditEvent.objects.all()), reverse=True)  # all at one moment: by id

    first = events(admin, limit=3)
    second = events(admin, limit=3, cursor=first["next_cursor"])

    assert [[each["id"] for each in page["items"]] for page in (first, second)] == [expected[:3], expected[3:]]
    assert second["next_cursor"] is None

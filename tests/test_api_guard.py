"""The guard of the API: it finds every operation in the OpenAPI document by itself, and tries to misuse it.

Strangers are refused, another tenant's objects are as if they didn't exist, each role may do what it may and no more,
and every answer is what the document says. That the guard would find a fault is shown by faults made for it.
"""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import override_settings
from psycopg import sql
from pydantic import SecretStr

from fatfire import api, middleware
from services.accounts import operations as accounts
from services.core import api as core_api
from services.core import queries as core
from services.integration.sandbox.app import CLIENT_ID, SECRET
from tenants.encryption import open_cipher
from tenants.isolation import tenant
from tenants.models import Membership, Tenant
from tenants.permissions import Role
from tests.api.document import Operation, Request, operations, problem_of, resolved, violations
from tests.api.requests import REQUESTS, request_for
from tests.conftest import delete_all_rows
from tests.contracts.bank import running_bank
from tests.factories import AT, make_key, make_tenant

OPERATIONS = {operation.id: operation for operation in operations()}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


@dataclass(frozen=True)
class Households:
    """Two tenants, a key of the first for each role, and keys that let nobody in."""

    one: Tenant
    two: Tenant
    keys: dict[Role, str]
    useless_keys: dict[str, str | None]
    admin: psycopg.Connection


@pytest.fixture(scope="module")
def households(django_db_blocker, admin, tmp_path_factory) -> Iterator[Households]:
    """Make both once: the guard asks what changes, so it doesn't mind what is there."""
    with django_db_blocker.unblock(), running_bank(tmp_path_factory.mktemp("bank") / "bank.sqlite3") as bank:
        one, two = make_tenant(), make_tenant()
        keys = {role: make_key(one, role) for role in Role}
        for each in (one, two):
            open_cipher(tenant_id=each.id)  # the first secret of a tenant makes its key, whichever operation that is
        with override_settings(PLAID_URL=bank.url, PLAID_CLIENT_ID=CLIENT_ID, PLAID_SECRET=SecretStr(SECRET)):
            yield Households(one, two, keys, _useless_keys(one), admin)
        for connection in connections.all(initialized_only=True):
            connection.close()
    delete_all_rows(admin)


def _useless_keys(owner: Tenant) -> dict[str, str | None]:
    with tenant(owner.id):
        membership = Membership.objects.get(role=Role.OWNER, user__email__startswith="owner@")
        revoked = accounts.create_api_key(membership_id=membership.id, name="revoked", role=Role.OWNER, at=AT)
        accounts.revoke_api_key(api_key_id=revoked.id, at=AT)
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        expired = accounts.create_api_key(
            membership_id=membership.id, name="expired", role=Role.OWNER, at=AT, expires_at=yesterday
        )
    return {
        "none": None,
        "empty": "",
        "garbage": "ff_" + "x" * 43,
        "revoked": revoked.secret,
        "expired": expired.secret,
        "another case": revoked.secret.upper(),
    }


def check_refuses_strangers(operation: Operation, households: Households) -> None:
    """Fail when someone without a good key gets anything but a refusal, or changes anything."""
    request = _made(operation, households.one)
    before = _fingerprint(households)
    for name, key in households.useless_keys.items():
        response = operation.send(request, key=key)
        assert response.status_code == 401, f"{operation}, the key is {name}: {response.status_code}"
        assert problem_of(response) == (401, "not_authenticated")
        assert violations(operation, response) == []
    assert _fingerprint(households) == before, f"{operation} changed something for a stranger"


def check_hides_other_tenants(operation: Operation, households: Households) -> None:
    """Fail when an id of another tenant's is answered differently from one that never was, or changes anything."""
    own, foreign = _made(operation, households.one), _made(operation, households.two)
    before = _fingerprint(households)
    for place, name in _ids(operation):
        answers = []
        for id_ in (_part(foreign, place)[name], uuid.uuid4()):
            request = replace(own, **{place: {**_part(own, place), name: id_}})
            response = operation.send(request, key=households.keys[Role.OWNER])
            if place != "query":  # filtering by what isn't there gives an empty list
                assert response.status_code == 404, f"{operation}, {place} {name}: {response.status_code}"
                assert problem_of(response) == (404, "not_found")
            answers.append((response.status_code, _without_request_id(response)))
        assert answers[0] == answers[1], f"{operation}: {place} {name}"
    assert _fingerprint(households) == before, f"{operation} changed something of another tenant's"


def check_roles(operation: Operation, households: Households) -> None:
    """Fail when a role may do too much or too little, a refusal changes anything, or an answer isn't as documented."""
    for role, key in households.keys.items():
        request = _made(operation, households.one)
        before = _fingerprint(households)
        response = operation.send(request, key=key)
        if role.allows(operation.role):
            assert response.status_code < 300, f"{operation} as {role}: {response.content!r}"
            assert violations(operation, response) == []
        else:
            assert response.status_code == 403, f"{operation} as {role}: {response.status_code}"
            assert problem_of(response) == (403, "permission_denied")
            assert violations(operation, response) == []
            assert _fingerprint(households) == before, f"{operation} changed something for a {role}"


def _made(operation: Operation, owner: Tenant) -> Request:
    """Return the operation's request in the tenant, which must name every id that the operation takes."""
    with tenant(owner.id):
        request = request_for(operation.id)
    for place, name in _ids(operation):
        assert name in _part(request, place), (
            f"the request for {operation} in tests/api/requests.py lacks the id {name}"
        )
    return request


def _ids(operation: Operation) -> list[tuple[str, str]]:
    """Return place and name of each id that the operation takes."""
    return [(place, name) for (place, name), schema in operation.parameters.items() if '"uuid"' in json.dumps(schema)]


def _part(request: Request, place: str) -> dict[str, Any]:
    return getattr(request, place) or {}


def _without_request_id(response: HttpResponse) -> dict[str, Any]:
    return {name: value for name, value in json.loads(response.content).items() if name != "request_id"}


def _fingerprint(households: Households) -> list[tuple[str, str | None]]:
    """Return a digest of every table, but for the record of who asked for what."""
    tables = [
        row[0]
        for row in households.admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        if row[0] not in {"telemetry_invocation", "telemetry_requestcount"}
    ]
    digest = sql.SQL(
        "SELECT {name}, md5(string_agg(row, '' ORDER BY row))"
        " FROM (SELECT (to_jsonb(t) - '{{last_used_at,counted_minute,counted_requests}}'::text[])::text AS row"
        " FROM {table} t) AS rows"
    )
    asked = sql.SQL(" UNION ALL ").join(digest.format(name=name, table=sql.Identifier(name)) for name in tables)
    return sorted(households.admin.execute(asked).fetchall())


@every_operation
def test_strangers_are_refused(operation, households):
    check_refuses_strangers(operation, households)


@every_operation
def test_other_tenants_do_not_exist(operation, households):
    check_hides_other_tenants(operation, households)


@every_operation
def test_each_role_may_do_what_it_may(operation, households):
    check_roles(operation, households)


def test_no_request_is_for_an_operation_that_is_gone():
    assert REQUESTS.keys() == OPERATIONS.keys()


# Planted faults: each must be found.


def test_operation_without_a_request_is_found(households):
    unknown = replace(OPERATIONS["get_me"], id="list_pets")

    with pytest.raises(LookupError, match=r"no request for list_pets: add one that succeeds to REQUESTS"):
        check_refuses_strangers(unknown, households)


def test_request_that_lacks_an_id_is_found(households, monkeypatch):
    monkeypatch.setitem(REQUESTS, "list_jobs", Request)

    with pytest.raises(AssertionError, match="lacks the id subject_id"):
        check_hides_other_tenants(OPERATIONS["list_jobs"], households)


@pytest.mark.parametrize("operation_id", ["get_rate", "create_portfolio"])
def test_operation_without_authentication_is_found(operation_id, households, monkeypatch):
    bound = [each for each in _bound_operations() if each.view_func.__name__ == operation_id]
    monkeypatch.setattr(bound[0], "auth_callbacks", [])

    with pytest.raises(AssertionError, match=rf"{operation_id}.*the key is none: "):
        check_refuses_strangers(OPERATIONS[operation_id], households)


def _bound_operations() -> list[Any]:
    views = (view for router in api.api._get_bound_routers() for view in router.path_operations.values())
    return [operation for view in views for operation in view.operations]


def test_operation_without_a_role_check_is_found(households, monkeypatch):
    monkeypatch.setattr(middleware, "required_role", lambda view, method: Role.VIEWER)

    with pytest.raises(AssertionError, match="as viewer"):
        check_roles(OPERATIONS["create_portfolio"], households)


def test_operation_that_refuses_too_much_is_found(households, monkeypatch):
    monkeypatch.setattr(middleware, "required_role", lambda view, method: Role.OWNER)

    with pytest.raises(AssertionError, match="as admin"):
        check_roles(OPERATIONS["list_portfolios"], households)


def test_refusal_that_writes_is_found(households, monkeypatch):
    def authenticate(self: api.ApiKey, request: Any, key: str) -> object:
        core_api.operations.create_portfolio(name=uuid.uuid4().hex, currency="AUD", time_zone="UTC", at=AT)
        return original(self, request, key)

    original = api.ApiKey.authenticate
    monkeypatch.setattr(api.ApiKey, "authenticate", authenticate)
    monkeypatch.setattr(middleware.transaction, "set_rollback", lambda rollback: None)

    with pytest.raises(AssertionError, match="changed something for a viewer"):
        check_roles(OPERATIONS["create_portfolio"], households)


def test_undocumented_field_is_found(households, monkeypatch):
    monkeypatch.setattr(core_api, "_transaction", lambda row: {**row, "amount": "1.00", "source": "plaid"})

    with pytest.raises(AssertionError, match="'source' was unexpected"):
        check_roles(OPERATIONS["list_transactions"], households)


def test_missing_field_is_found(households, monkeypatch):
    def without_note(row: dict[str, Any]) -> dict[str, Any]:
        return {name: str(value) for name, value in row.items() if name not in {"note", "pending"}}

    monkeypatch.setattr(core_api, "_transaction", without_note)

    with pytest.raises(AssertionError, match="'note' is a required property"):
        check_roles(OPERATIONS["list_transactions"], households)


def test_telling_a_foreign_id_from_an_unknown_one_is_found(households, monkeypatch):
    def get_portfolio(*, portfolio_id: uuid.UUID) -> object:
        row = households.admin.execute("SELECT name FROM core_portfolio WHERE id = %s", [portfolio_id]).fetchone()
        if row is None:
            raise api.NotFound
        raise api.NotFound(f"{row[0]} is not yours.")

    monkeypatch.setattr(core, "get_portfolio", get_portfolio)

    with pytest.raises(AssertionError, match="get_portfolio"):
        check_hides_other_tenants(OPERATIONS["get_portfolio"], households)


def test_plain_error_is_found(households, monkeypatch):
    monkeypatch.setattr(api, "problem", lambda request, error: HttpResponse(error.code, status=error.status))

    with pytest.raises(AssertionError, match="not_authenticated"):
        check_refuses_strangers(OPERATIONS["get_me"], households)


def test_every_answer_of_the_document_has_a_schema():
    for operation in OPERATIONS.values():
        for status, described in operation.details["responses"].items():
            assert ("content" in described) is (status != "204"), operation
            for content in described.get("content", {}).values():
                assert resolved(content["schema"])["type"] == "object"

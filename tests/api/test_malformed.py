"""Requests that no well-meaning client makes: each is refused as a problem, and none is our fault."""

import json
import uuid

import pytest
from django.test import override_settings

from services.accounts import queries
from services.core import operations
from services.core.models import Portfolio
from services.telemetry.models import Invocation
from tenants.isolation import operator
from tests.api.document import call, fields_of, problem_of
from tests.factories import make_asset, make_portfolio

NOT_JSON = [
    b"{",
    b"name=x",
    b'{"name": "x"}{',
    b'{"name": NaN}',
    b'{"name": Infinity}',
    b'{"name": "\xff"}',
    b'{"name": "\\ud800"}',
    b'{"\\udfff": "x"}',
    b'{"name": "\\u12"}',
    '{"name": "x"}'.encode("utf-16"),
    b"[" * 100_000,
    b"<name>x</name>",
]


@pytest.mark.parametrize("body", NOT_JSON, ids=[str(body[:20]) for body in NOT_JSON])
def test_body_that_is_no_json_is_refused(home, body):
    assert home.refusal("POST", "/portfolios", body) == (422, "malformed_request", set())


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"])
def test_form_is_no_json(home, content_type):
    refusal = home.refusal("POST", "/portfolios", b"name=x", content_type=content_type)

    assert refusal == (422, "malformed_request", set())


def test_missing_body_is_named(home):
    assert home.refusal("POST", "/portfolios") == (422, "malformed_request", {"body"})


def test_last_of_two_equal_names_counts(home):
    response = home.call("POST", "/portfolios", b'{"name": "One", "name": "Two"}')

    assert json.loads(response.content)["name"] == "Two"


@pytest.mark.parametrize("name", ["x\0", "\0"])
def test_nul_is_no_text(home, name):
    with home.scope():
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
    text = {"name": name}

    refused = (422, "invalid_input", {"name"})
    assert home.refusal("POST", "/portfolios", text) == refused
    assert home.refusal("PATCH", f"/portfolios/{portfolio.id}", text) == refused
    assert home.refusal("PATCH", f"/assets/{asset.id}", text) == refused
    assert home.refusal("POST", "/portfolios", [{"a": ["b", name]}]) == (422, "invalid_input", {"body"})
    assert home.refusal("POST", "/portfolios", {name: "x"}) == (422, "invalid_input", {name})
    assert home.refusal("GET", "/jobs", query={"kind": name}) == (422, "invalid_input", {"kind"})


def test_text_keeps_what_it_holds(home):
    name = "Ünïcode 🎂 \u202e ' -- \\ %s {0} <b>"

    assert home.send("POST", "/portfolios", {"name": name})["name"] == name


@pytest.mark.parametrize(
    "path",
    ["/portfolios/x", "/portfolios/1", "/assets/%00", "/links/..", "/jobs/67e55044-10b1-426f-9247-bb680e5fe0c8x"],
)
def test_id_that_is_none_is_named(home, path):
    status, code, fields = home.refusal("GET", path)

    assert (status, code, len(fields)) in {(422, "malformed_request", 1), (404, "not_found", 0)}


def test_large_body_is_refused(home):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000):
        assert home.refusal("POST", "/portfolios", {"name": "x" * 1000}) == (413, "request_too_large", set())


def test_too_many_parameters_are_refused(home):
    query = {f"p{number}": "x" for number in range(1001)}

    assert home.refusal("GET", "/portfolios", query=query) == (422, "malformed_request", set())


@pytest.mark.parametrize("path", ["/nowhere", "/portfolios/", "/portfolios//", "//portfolios", "/", "", "/me/me"])
def test_unknown_route_is_not_found(home, path):
    assert home.refusal("GET", path) == (404, "not_found", set())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/portfolios", {"GET", "POST"}),
        ("HEAD", "/portfolios", {"GET", "POST"}),
        ("OPTIONS", "/portfolios", {"GET", "POST"}),
        ("PURGE", "/me", {"GET"}),
        ("POST", "/transactions", {"GET"}),
    ],
)
def test_wrong_method_says_which_are_right(home, method, path, allowed):
    response = home.call(method, path)

    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == allowed
    if method != "HEAD":
        assert problem_of(response) == (405, "method_not_allowed")


def test_unknown_host_is_a_problem(home):
    response = home.call("GET", "/me", headers={"Host": "evil.example"})

    assert problem_of(response) == (400, "bad_request")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abcdefgh", True),
        ("A.b-C_9" * 9, True),
        ("short", False),
        ("x" * 65, False),
        ("with space", False),
        ("ünïcode-id", False),
        ("line\tbreak", False),
        ("", False),
    ],
)
def test_request_id_is_the_callers_where_it_is_sane(home, given, kept):
    answered = home.call("GET", "/me", headers={"X-Request-ID": given})["X-Request-ID"]

    assert (answered == given) is kept
    assert kept or uuid.UUID(answered).hex == answered


def test_answers_are_for_no_cache(home):
    for response in (home.call("GET", "/me"), home.call("GET", "/nowhere"), call("GET", "/api/v1/me")):
        assert response["Cache-Control"] == "no-store"


def test_unauthenticated_answer_says_how_to(database):
    assert call("GET", "/api/v1/me")["WWW-Authenticate"] == "X-API-Key"


@pytest.mark.parametrize("key", ["ünï", "x" * 5000, "' OR 1=1 --", "\x7f"])
def test_strange_key_is_refused(database, key):
    assert problem_of(call("GET", "/api/v1/me", key=key)) == (401, "not_authenticated")


def test_unexpected_error_tells_nothing_and_undoes_everything(home, monkeypatch, caplog):
    def create_portfolio(**facts):
        original(**facts)
        raise RuntimeError("secret: hunter2")

    original = operations.create_portfolio
    monkeypatch.setattr(operations, "create_portfolio", create_portfolio)

    response = home.call("POST", "/portfolios", {"name": "Ours"})

    assert problem_of(response) == (500, "internal_error")
    assert b"hunter2" not in response.content
    assert json.loads(response.content)["detail"] == "Something went wrong on our side."
    assert [record.name for record in caplog.records] == ["fatfire.api", "django.request"]
    with home.scope():
        assert not Portfolio.objects.exists()
        failed = Invocation.objects.get(name="POST /api/v1/portfolios")
        assert (failed.outcome, failed.status, failed.error_code) == ("failed", 500, "internal_error")


def test_error_before_the_operation_is_a_problem_too(home, monkeypatch):
    def principal_of_key(**facts):
        raise RuntimeError("secret: hunter2")

    monkeypatch.setattr(queries, "principal_of_key", principal_of_key)

    response = home.call("GET", "/me")

    assert problem_of(response) == (500, "internal_error")
    assert b"hunter2" not in response.content


def test_refusal_after_a_write_undoes_it(home, monkeypatch):
    def create_portfolio(**facts):
        original(**facts)
        raise operations.NameTaken

    original = operations.create_portfolio
    monkeypatch.setattr(operations, "create_portfolio", create_portfolio)

    assert home.refusal("POST", "/portfolios", {"name": "Ours"}) == (409, "name_taken", set())
    with home.scope():
        assert not Portfolio.objects.exists()


def test_refused_request_is_recorded_with_its_code(home):
    home.refusal("POST", "/portfolios", {})

    with home.scope():
        refused = Invocation.objects.get(name="POST /api/v1/portfolios")
    assert (refused.outcome, refused.status, refused.error_code) == ("refused", 422, "malformed_request")
    with operator():
        assert Invocation.objects.count() == 1


def test_problem_names_fields_within_fields(home):
    response = home.call("POST", "/portfolios", {"name": {"first": "x"}})

    assert fields_of(response) == {"name"}

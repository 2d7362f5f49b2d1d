"""The contract finds what is wrong, and only that. Each fault is planted at another level of an exchange."""

import copy
import io
import json

import pytest

from tests.contracts.contract import Checked, Contract, ContractBroken
from tests.contracts.reduce_plaid import reduced

PLAID = Contract.of_plaid()

ACCOUNT = {
    "account_id": "a1",
    "balances": {
        "available": None,
        "current": 12.5,
        "limit": None,
        "iso_currency_code": "AUD",
        "unofficial_currency_code": None,
    },
    "mask": None,
    "name": "Everyday",
    "official_name": None,
    "type": "depository",
    "subtype": "checking",
}
ITEM = {
    "item_id": "i1",
    "webhook": None,
    "error": None,
    "available_products": ["balance"],
    "billed_products": ["transactions"],
    "consent_expiration_time": None,
    "update_type": "background",
}
ANSWER = {"accounts": [ACCOUNT], "item": ITEM, "request_id": "r1"}
ERROR = {"error_type": "ITEM_ERROR", "error_code": "ITEM_LOGIN_REQUIRED", "error_message": "m", "display_message": None}


def changed(body, path, value):
    """Return a copy of `body` with `value` at `path`; None as the value takes the field away."""
    copied = copy.deepcopy(body)
    holder = copied
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return copied


def test_a_faithful_exchange_has_no_violations():
    assert PLAID.request_violations("POST", "/accounts/get", {"access_token": "t"}) == []
    assert PLAID.response_violations("POST", "/accounts/get", 200, ANSWER) == []
    assert PLAID.response_violations("POST", "/accounts/get", 400, ERROR) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("request_id",), ...),
        (("surprise",), 1),
        (("accounts",), None),
        (("accounts", 0, "surprise"), 1),
        (("accounts", 0, "type"), "purse"),
        (("accounts", 0, "subtype"), "purse"),
        (("accounts", 0, "balances", "current"), "12.50"),
        (("accounts", 0, "balances", "surprise"), None),
        (("accounts", 0, "balances", "limit"), ...),
        (("item", "item_id"), None),
        (("item", "error"), {"error_code": "X"}),
        (("item", "consent_expiration_time"), "tomorrow"),
        (("item", "consent_expiration_time"), "2026-03-18T00:00:00"),
    ],
)
def test_a_wrong_answer_is_one_violation_at_least(path, value):
    violations = PLAID.response_violations("POST", "/accounts/get", 200, changed(ANSWER, path, value))

    assert len(violations) >= 1


def test_null_is_accepted_only_where_the_document_says_so():
    assert PLAID.response_violations("POST", "/accounts/get", 200, changed(ANSWER, ("accounts", 0, "mask"), None)) == []
    assert PLAID.response_violations("POST", "/accounts/get", 200, changed(ANSWER, ("accounts", 0, "name"), None)) != []


def test_parts_of_all_of_accept_each_others_fields_and_no_others():
    item = ITEM | {"created_at": "2026-03-18T00:00:00Z"}  # declared in the second part of `ItemWithConsentFields`

    assert PLAID.response_violations("POST", "/item/get", 200, {"item": item, "request_id": "r"}) == []
    assert len(PLAID.response_violations("POST", "/item/get", 200, {"item": item | {"x": 1}, "request_id": "r"})) == 1


def test_an_undeclared_request_field_is_refused_at_every_level():
    user = {"client_user_id": "u"}
    asked = {"client_name": "n", "language": "en", "country_codes": ["US"], "user": user}

    assert PLAID.request_violations("POST", "/link/token/create", asked) == []
    assert len(PLAID.request_violations("POST", "/link/token/create", asked | {"surprise": 1})) == 1
    assert len(PLAID.request_violations("POST", "/link/token/create", asked | {"user": user | {"surprise": 1}})) == 1
    assert len(PLAID.request_violations("POST", "/link/token/create", asked | {"country_codes": ["AU"]})) == 1
    assert len(PLAID.request_violations("POST", "/transactions/sync", {"access_token": "t", "count": 501})) == 1


def test_an_unknown_path_or_method_is_refused():
    assert PLAID.request_violations("POST", "/accounts/take", {}) == [
        "POST /accounts/take: the document has no such operation"
    ]
    assert PLAID.request_violations("GET", "/accounts/get", {}) == [
        "GET /accounts/get: the document has no such operation"
    ]


def test_an_undeclared_success_status_is_refused():
    assert PLAID.response_violations("POST", "/accounts/get", 202, ANSWER) == [
        "POST /accounts/get: the document has no status 202"
    ]


def exchanged(path, sent, status, answered):
    """Send one request through `Checked` to an application that always answers the same; return what it noted."""

    def application(environ, start_response):
        environ["wsgi.input"].read()
        start_response(status, [])
        return [answered]

    checked = Checked(application, PLAID)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
    }
    body = b"".join(checked(environ, lambda *_: None))
    assert body == answered
    return checked


def test_checked_passes_a_faithful_exchange_on():
    checked = exchanged("/accounts/get", b'{"access_token": "t"}', "200 OK", json.dumps(ANSWER).encode())

    checked.raise_violations()
    assert checked.exchanges == [("/accounts/get", 200)]


@pytest.mark.parametrize(
    ("path", "sent", "answered"),
    [
        ("/accounts/get", b'{"access_token": "t", "surprise": 1}', json.dumps(ANSWER).encode()),
        ("/accounts/get", b'{"access_token": "t"}', json.dumps(ANSWER | {"surprise": 1}).encode()),
        ("/accounts/get", b'{"access_token": "t"}', b"<h1>Hello</h1>"),
        ("/accounts/get", b"", json.dumps(ANSWER).encode()),
        ("/accounts/take", b"{}", json.dumps(ANSWER).encode()),
    ],
    ids=["request field", "response field", "response no JSON", "request no JSON", "unknown path"],
)
def test_checked_raises_a_planted_fault(path, sent, answered):
    checked = exchanged(path, sent, "200 OK", answered)

    with pytest.raises(ContractBroken):
        checked.raise_violations()
    assert len(checked.violations) == 1


def test_reducing_keeps_names_and_types_and_drops_prose():
    published = {
        "description": "prose",
        "type": "object",
        "required": ["description"],
        "example": {"a": 1},
        "properties": {
            "description": {"type": "string", "description": "prose", "nullable": True},
            "kinds": {"type": "array", "items": {"type": "string", "enum": ["a"], "title": "prose"}},
        },
    }

    assert reduced(published) == {
        "type": "object",
        "required": ["description"],
        "properties": {
            "description": {"type": "string", "nullable": True},
            "kinds": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
        },
    }

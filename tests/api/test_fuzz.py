"""Any request whatever is answered, and never by an error of ours: values by the document, near it, and far from it."""

import json
import string
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.integration.sandbox.app import CLIENT_ID, SECRET
from tests.api.document import Operation, Request, operations, problem_of, resolved, violations
from tests.api.requests import request_for
from tests.contracts.bank import running_bank

EXAMPLES = 25
# Lone surrogates are no text to begin with: tests/api/test_malformed.py sends them, as escapes.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from([10**400, -1, "\\0", "x" * 1000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
AMOUNTS = st.decimals(-(10**16), 10**16, places=5).map(str) | st.sampled_from(["NaN", "1e400", "-0", "1E+9", "٣"])


def near(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that the schema allows, or nearly."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return st.one_of([near(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    by_format = {
        "uuid": st.uuids().map(str),
        "date": st.dates().map(str) | st.sampled_from(["0001-01-01", "9999-12-31", "2026-02-30"]),
    }
    by_type = {
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": st.integers(-1, 1000),
        "number": AMOUNTS.map(float) | st.integers(),
        "string": AMOUNTS if "decimal" in json.dumps(schema) or r"\d" in schema.get("pattern", "") else TEXT,
    }
    if schema.get("pattern") == "^[A-Z]{3}$":
        return st.sampled_from(["AUD", "JPY", "XXX"]) | st.text(string.ascii_uppercase, min_size=3, max_size=3)
    return by_format.get(schema.get("format"), by_type.get(schema.get("type"), JUNK))


def variations(operation: Operation, good: Request) -> st.SearchStrategy[Request]:
    """Return the good request with some of its values left out or replaced, and values beside them."""

    def part(place: str, given_values: dict[str, Any]) -> st.SearchStrategy[Any]:
        schemas = {name: schema for (where, name), schema in operation.parameters.items() if where == place}
        choices = {
            name: st.just(given_values[name]) | near(schema) if name in given_values else near(schema)
            for name, schema in schemas.items()
        }
        one_bad = st.dictionaries(st.sampled_from(sorted(schemas)) | TEXT if schemas else TEXT, JUNK, max_size=1)
        return st.builds(dict.__or__, st.fixed_dictionaries({}, optional=choices), st.just({}) | one_bad) | st.builds(
            dict.__or__, st.just(given_values), st.fixed_dictionaries({}, optional=choices)
        )

    body = st.just(good.body)
    if "requestBody" in operation.details:
        body = part("body", good.body or {}) | JUNK
    path = st.just(good.path) | st.fixed_dictionaries({name: st.uuids() | st.just("x") for name in good.path})
    query = part("query", good.query).map(lambda found: {name: str(value) for name, value in found.items()})
    return st.builds(Request, path=path, query=query, body=body)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    with running_bank(tmp_path_factory.mktemp("bank") / "bank.sqlite3") as bank:
        yield {"PLAID_URL": bank.url, "PLAID_CLIENT_ID": CLIENT_ID, "PLAID_SECRET": SecretStr(SECRET)}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_any_request_is_answered(operation, home, bank):
    with home.scope(), override_settings(**bank):
        good = request_for(operation.id)

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(variations(operation, good))
    def check(request: Request) -> None:
        response = operation.send(request, key=home.key)
        assert response.status_code != 500, response.content
        assert response.status_code < 400 or problem_of(response)
        assert violations(operation, response) == []

    with override_settings(**bank):
        check()

"""The API as its OpenAPI document describes it: the operations, calls of them, answers held against the document."""

import datetime as dt
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from fatfire.api import api
from tenants.permissions import Role

PROBLEM = "application/problem+json"
formats = FormatChecker(formats=("date", "uuid"))


@formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


@dataclass(frozen=True)
class Request:
    """What one call sends: the path's ids by name, the query's parameters, the body as JSON values."""

    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    details: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.id} ({self.method} {self.path})"

    @property
    def role(self) -> Role:
        """Return the least role that may call it."""
        return Role(self.details["x-role"])

    @property
    def parameters(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the schemas of ("path" | "query" | "body", name), the parts of the body among them."""
        found = {(each["in"], each["name"]): each["schema"] for each in self.details["parameters"]}
        if "requestBody" in self.details:
            schema = resolved(self.details["requestBody"]["content"]["application/json"]["schema"])
            found |= {("body", name): part for name, part in schema["properties"].items()}
        return found

    def send(self, request: Request, *, key: str | None) -> HttpResponse:
        """Make the call; `key` None is nobody."""
        return call(
            self.method,
            self.path.format(**request.path),
            key=key,
            query=request.query,
            body=None if request.body is None else json.dumps(request.body, default=str),
        )


def call(
    method: str,
    path: str,
    *,
    key: str | None = None,
    query: dict[str, Any] | None = None,
    body: str | bytes | None = None,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Make one request of whatever form, and return the answer, an error's too."""
    client = Client(raise_request_exception=False)
    headers = {**(headers or {}), **({} if key is None else {"X-API-Key": key})}
    query_string = urlencode(query or {})
    return client.generic(
        method, path, data=body or b"", content_type=content_type, headers=headers, QUERY_STRING=query_string
    )


@cache
def document() -> dict[str, Any]:
    """Return the document, as a client reads it."""
    return json.loads(json.dumps(api.get_openapi_schema()))


def operations() -> list[Operation]:
    """Return every operation of the document."""
    return [
        Operation(details["operationId"], method.upper(), path, details)
        for path, methods in document()["paths"].items()
        for method, details in methods.items()
    ]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema, or the one that it refers to."""
    if "$ref" not in schema:
        return schema
    return document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def violations(operation: Operation, response: HttpResponse) -> list[str]:
    """Return how the answer differs from the document: status, type, fields. Undeclared fields are refused."""
    status, content_type = str(response.status_code), response["Content-Type"].partition(";")[0]
    described = operation.details["responses"].get(status)
    if described is None:
        return [f"{operation}: the document has no status {status}"]
    if "content" not in described:
        return [f"{operation}: {status} has a body"] if response.content else []
    if content_type not in described["content"]:
        return [f"{operation}: {status} is {content_type}"]
    schema = _closed(described["content"][content_type]["schema"]) | {"components": _closed(document()["components"])}
    errors = Draft202012Validator(schema, format_checker=formats).iter_errors(json.loads(response.content))
    return [f"{operation}: {status} {error.json_path}: {error.message}" for error in errors]


def _closed(schema: Any) -> Any:
    """Return the schema, in which no object may have more than its declared properties."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(schema.get("properties"), dict) else closed


def problem_of(response: HttpResponse) -> tuple[int, str]:
    """Return the error's status and code, once it is well-formed.

    Raises:
        AssertionError: it is no proper problem document.
    """
    assert response["Content-Type"] == PROBLEM, response.content[:200]
    body = json.loads(response.content)
    schema = _closed(document()["components"]["schemas"]["Problem"]) | {"components": document()["components"]}
    Draft202012Validator(schema).validate(body)
    assert body["status"] == response.status_code
    assert body["request_id"] == response["X-Request-ID"]
    assert body["type"] == f"urn:fatfire:error:{body['code']}"
    return body["status"], body["code"]


def fields_of(response: HttpResponse) -> set[str]:
    """Return the names of the fields that the error is about."""
    return {each["field"] for each in json.loads(response.content).get("errors", [])}

"""Hold every exchange with the bank simulator against Plaid's published document.

Stricter than Plaid: a field that the document doesn't declare is refused, in an answer too, so that a typing error in
the simulator or in the adapter can't hide behind "unknown fields are ignored".
"""

import datetime as dt
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

REFERENCE = "#/components/schemas/"
PLAID = Path(__file__).with_name("plaid.json")
BOUNDS = frozenset(("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"))
JSON_KEYWORDS = BOUNDS | {"type", "enum", "format", "required"}

formats = FormatChecker(formats=())


@formats.checks("date", raises=ValueError)
def is_date(value: object) -> bool:
    """Return whether `value` is a calendar day as the document writes it (or no text at all)."""
    return not isinstance(value, str) or bool(dt.datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=dt.UTC))


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    """Return whether `value` is a moment with an offset (or no text at all)."""
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


@formats.checks("url", raises=ValueError)
def is_url(value: object) -> bool:
    """Return whether `value` is an absolute web address (or no text at all)."""
    return not isinstance(value, str) or urlsplit(value).scheme in {"http", "https"}


class ContractBroken(AssertionError):
    """An exchange differs from the published document."""


class Contract:
    """A reduced OpenAPI 3.0 document whose operations can be checked."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Read `document`, as `reduce_plaid.py` writes it."""
        self._paths = document["paths"]
        self._schemas = document["components"]["schemas"]
        self._definitions = {name: self._converted(schema) for name, schema in self._schemas.items()}
        self._validators: dict[tuple[str, str, str], Draft202012Validator] = {}

    @classmethod
    def of_plaid(cls) -> "Contract":
        """Return the contract with Plaid."""
        return cls(json.loads(PLAID.read_text()))

    def request_violations(self, method: str, path: str, body: object) -> list[str]:
        """Return what the document forbids in a request; `body` is the parsed JSON."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: the document has no such operation"]
        return self._violations((method, path, "request"), operation["requestBody"], body)

    def response_violations(self, method: str, path: str, status: int, body: object) -> list[str]:
        """Return what the document forbids in an answer; `body` is the parsed JSON."""
        operation = self._operation(method, path)
        if operation is None:
            return []  # the request was the violation
        answers = operation["responses"]
        key = str(status) if str(status) in answers else "default"
        if status < 400 and key == "default":
            return [f"{method} {path}: the document has no status {status}"]
        return self._violations((method, path, key), answers[key], body)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        return self._paths.get(path, {}).get(method.lower())

    def _violations(self, key: tuple[str, str, str], holder: dict[str, Any], body: object) -> list[str]:
        if key not in self._validators:
            schema = self._converted(holder["content"]["application/json"]["schema"])
            self._validators[key] = Draft202012Validator(schema | {"$defs": self._definitions}, format_checker=formats)
        where = " ".join(key)
        return [f"{where}: {error.json_path}: {error.message}" for error in self._validators[key].iter_errors(body)]

    def _converted(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return `schema` (OpenAPI 3.0) as JSON Schema, closed against undeclared properties."""
        if "$ref" in schema:
            return {"$ref": "#/$defs/" + schema["$ref"].removeprefix(REFERENCE)}
        flat = self._flattened(schema)
        converted = {key: value for key, value in flat.items() if key in JSON_KEYWORDS}
        if "items" in flat:
            converted["items"] = self._converted(flat["items"])
        if flat.get("type") == "object" and "properties" in flat:
            converted["properties"] = {name: self._converted(part) for name, part in flat["properties"].items()}
            converted["additionalProperties"] = self._converted(flat.get("additionalProperties", {})) or False
        return {"anyOf": [{"type": "null"}, converted]} if flat.get("nullable") else converted

    def _flattened(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return `schema` with its `allOf` merged, so that closing one part doesn't refuse another's fields."""
        if "allOf" not in schema:
            return schema
        merged: dict[str, Any] = {"properties": {}, "required": []}
        own = {key: value for key, value in schema.items() if key != "allOf"}
        for part in [*schema["allOf"], own]:
            named = self._schemas[part["$ref"].removeprefix(REFERENCE)] if "$ref" in part else part
            flat = {key: value for key, value in self._flattened(named).items() if key != "nullable"}
            properties = merged["properties"] | flat.get("properties", {})
            required = [*merged["required"], *flat.get("required", [])]
            merged |= flat | {"properties": properties, "required": required}
        merged["nullable"] = schema.get("nullable", False)
        return merged if merged["properties"] else {key: merged[key] for key in merged.keys() - {"properties"}}


class Checked:
    """A WSGI application whose every exchange is checked; what breaks the contract is kept in `violations`.

    The server's thread can't raise into the test, so a test (or its fixture) calls `raise_violations()` at the end.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], contract: Contract, *, pages: str = "/link/link-"
    ) -> None:
        """Check `application` against `contract`; paths that begin with `pages` are HTML and no part of the API."""
        self._application = application
        self._contract = contract
        self._pages = pages
        self.violations: list[str] = []
        self.exchanges: list[tuple[str, int]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request as the application does."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith(self._pages):
            return self._application(environ, start_response)
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        began: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            began.append(status)
            return start_response(status, headers, exc_info)

        answered = b"".join(self._application(environ, start))
        status = int(began[-1].split()[0])
        self.exchanges.append((path, status))
        self._check(lambda body: self._contract.request_violations(method, path, body), f"{method} {path}", sent)
        self._check(lambda body: self._contract.response_violations(method, path, status, body), path, answered)
        return [answered]

    def raise_violations(self) -> None:
        """Fail when the contract was broken.

        Raises:
            ContractBroken: with every violation, one a line.
        """
        if self.violations:
            raise ContractBroken("\n".join(self.violations))

    def _check(self, violations: Callable[[object], list[str]], where: str, raw: bytes) -> None:
        try:
            body = json.loads(raw)
        except ValueError:
            self.violations.append(f"{where}: not JSON")
        else:
            self.violations.extend(violations(body))

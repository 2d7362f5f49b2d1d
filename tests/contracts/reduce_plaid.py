"""Reduce Plaid's published OpenAPI document to the names and types of the calls that we use.

The document is at https://github.com/plaid/plaid-openapi (2020-09-14.yml). What is left holds facts of the interface
only: paths, statuses, properties, types, enums, bounds. No prose and no examples.

    python tests/contracts/reduce_plaid.py 2020-09-14.yml > tests/contracts/plaid.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PATHS = (
    "/accounts/balance/get",
    "/accounts/get",
    "/institutions/get",
    "/institutions/get_by_id",
    "/institutions/search",
    "/item/get",
    "/item/public_token/exchange",
    "/item/remove",
    "/link/token/create",
    "/link/token/get",
    "/sandbox/item/reset_login",
    "/sandbox/public_token/create",
    "/sandbox/transactions/create",
    "/transactions/refresh",
    "/transactions/sync",
)
BOUNDS = frozenset(("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"))
FACTS = BOUNDS | {"$ref", "type", "enum", "nullable", "format", "required"}
BRANCHES = frozenset(("allOf", "anyOf", "oneOf"))
REFERENCE = "#/components/schemas/"


def reduced(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` without anything that isn't a name or a type."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in FACTS:
            kept[key] = value
        elif key == "properties":
            kept[key] = {name: reduced(part) for name, part in value.items()}
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            kept[key] = reduced(value)
        elif key in BRANCHES:
            kept[key] = [reduced(part) for part in value]
    return kept


def references(part: object) -> Iterator[str]:
    """Yield the name of every schema that `part` refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REFERENCE)
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def content(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON content of a request body or a response, reduced."""
    schema = holder["content"]["application/json"]["schema"]
    return {"content": {"application/json": {"schema": reduced(schema)}}}


def operation(published: dict[str, Any]) -> dict[str, Any]:
    """Return one operation's request body and its responses by status, reduced."""
    return {
        "requestBody": content(published["requestBody"]),
        "responses": {status: content(answer) for status, answer in published["responses"].items()},
    }


def reduced_document(published: dict[str, Any]) -> dict[str, Any]:
    """Return the document with `PATHS` only, and with the schemas that these reach."""
    paths = {path: {"post": operation(published["paths"][path]["post"])} for path in PATHS}
    schemas: dict[str, Any] = {}
    waiting = list(references(paths))
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = reduced(published["components"]["schemas"][name])
            waiting.extend(references(schemas[name]))
    return {
        "openapi": published["openapi"],
        "info": {"version": published["info"]["version"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def main(source: Path) -> None:
    """Write the reduced document to standard output."""
    published = yaml.load(source.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    json.dump(reduced_document(published), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

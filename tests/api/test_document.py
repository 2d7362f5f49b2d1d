"""The OpenAPI document is valid, complete and readable."""

import json
import re

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api.document import PROBLEM, call, document, operations


def test_document_is_valid():
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_document_schemas_are_valid():
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for operation in operations():
        for schema in operation.parameters.values():
            Draft202012Validator.check_schema(schema)


def test_references_lead_somewhere():
    names = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document()))

    assert {name.removeprefix("#/components/schemas/") for name in names} <= document()["components"]["schemas"].keys()


def test_operations_have_distinct_readable_names():
    ids = [operation.id for operation in operations()]

    assert len(set(ids)) == len(ids)
    assert [each for each in ids if not re.fullmatch(r"(get|list|create|update|set|[a-z]+)_[a-z_]+", each)] == []


def test_path_parameters_are_those_of_the_path():
    for operation in operations():
        declared = {name for place, name in operation.parameters if place == "path"}
        assert declared == set(re.findall(r"{(\w+)}", operation.path))


def test_operations_say_what_they_do_and_how_they_fail():
    for operation in operations():
        assert operation.details["summary"].endswith("."), operation
        assert operation.details["description"].endswith(f"Needs the role {operation.role} or a higher one."), operation
        assert operation.details["security"] == [{"ApiKey": []}], operation
        failures = {status: each for status, each in operation.details["responses"].items() if status >= "400"}
        assert failures.keys() == {"401", "403", "404", "409", "413", "422", "429", "500", "503"}
        for each in failures.values():
            assert each["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_key_goes_into_a_header():
    assert document()["components"]["securitySchemes"] == {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    }


def test_document_and_its_page_are_served_to_everybody(database):
    served = call("GET", "/api/v1/openapi.json")
    page = call("GET", "/api/v1/docs")

    assert json.loads(served.content) == document()
    assert page.status_code == 200
    assert "cdn" not in page.content.decode()

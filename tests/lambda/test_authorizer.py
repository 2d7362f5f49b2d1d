"""API Gateway asks whose key it is, and the application asks again."""

import json

import pytest

from fatfire.kit import clock
from infra.system import BASE_DIR, function
from services.accounts import operations
from services.accounts.models import ApiKey
from tenants.isolation import tenant
from tests.factories import make_key, make_tenant

PATH = "/api/v1/portfolios"
API_PAGE = (BASE_DIR / "docs" / "api.md").read_text()


@pytest.fixture
def key(database):
    return make_key(make_tenant())


def answer_to(deployed, path=PATH, stage="web", **headers):
    with deployed.http(stage) as browser:
        answer = browser.get(path, headers=headers)
    return answer.status_code, answer.json() if "json" in answer.headers.get("content-type", "") else None


def test_a_good_key_is_let_in(deployed, key):
    status, content = answer_to(deployed, **{"X-API-Key": key})

    assert (status, content["items"]) == (200, [])


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, (401, {"message": "Unauthorized"})),
        ({"X-API-Key": "ff_nobody"}, (403, {"message": "Forbidden"})),
        ({"API-Gateway-Authorizer": "{}"}, (401, {"message": "Unauthorized"})),
    ],
)
def test_the_gateway_refuses_what_has_no_good_key(deployed, headers, answer):
    status, content = answer

    assert answer_to(deployed, **headers) == answer
    assert f"| {status} | `{json.dumps(content)}` |" in API_PAGE  # no problem document: clients must know


@pytest.mark.parametrize("path", ["/api/v1%2Fportfolios", "//api/v1/portfolios", "/api/v1/", "/api/v1/x/../portfolios"])
def test_no_path_in_disguise_opens_the_api(deployed, path):
    assert answer_to(deployed, path)[0] in {401, 404}


def test_a_good_key_opens_nothing_where_no_gateway_asked(deployed, key):
    status, content = answer_to(deployed, stage="console", **{"X-API-Key": key})

    assert (status, content["code"]) == (401, "not_authenticated")


def test_a_key_revoked_a_moment_ago_is_refused_by_the_application(deployed, database):
    owner = make_tenant()
    secret = make_key(owner)
    assert answer_to(deployed, **{"X-API-Key": secret})[0] == 200

    with tenant(owner.id):
        operations.revoke_api_key(api_key_id=ApiKey.objects.get().id, at=clock.now())
    status, content = answer_to(deployed, **{"X-API-Key": secret})

    assert (status, content["code"]) == (401, "not_authenticated")  # the gateway's answer still counts


@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/openapi.json", "/livez", "/sign-in"])
def test_other_paths_are_open(deployed, path):
    assert answer_to(deployed, path)[0] == 200


def test_the_authorizer_is_asked_of_the_version_that_serves(deployed):
    gateway = deployed.client("apigatewayv2")
    api = deployed.client("cloudformation").describe_stack_resource(
        StackName=function("web"), LogicalResourceId="ApiV2"
    )["StackResourceDetail"]["PhysicalResourceId"]

    (authorizer,) = gateway.get_authorizers(ApiId=api)["Items"]
    behind = {route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"] if "AuthorizerId" in route}

    assert authorizer["AuthorizerUri"].endswith("function:fatfire-web:live/invocations")
    assert behind == {"ANY /api/v1/{proxy+}"}

"""Behind API Gateway's authorizer the API believes its word as far as it must, and nobody else's."""

import uuid

import pytest
from django.test import Client

from fatfire.kit import clock
from services.accounts import operations
from services.accounts.models import ApiKey
from tenants.isolation import operator
from tenants.models import Membership
from tenants.permissions import Role
from tests.api.document import problem_of
from tests.factories import make_key, make_tenant
from workers.authorizer import authorize

PATH = "/api/v1/portfolios"
REFUSED = (401, "not_authenticated")


@pytest.fixture(autouse=True)
def behind(settings):
    settings.API_BEHIND_AUTHORIZER = True


def word_about(secret):
    """Return what the authorizer says of a key, as API Gateway hands it on."""
    event = {"headers": {"x-api-key": secret}, "identitySource": [secret]}
    return {"lambda": authorize(event)["context"]}


def ask(secret, word, path=PATH, **headers):
    said = {} if word is None else {"API_GATEWAY_AUTHORIZER": word}
    return Client().get(path, headers={"X-API-Key": secret, **headers} if secret else headers, **said)


def test_the_authorizers_word_and_the_key_open_the_api(home):
    response = ask(home.key, word_about(home.key))

    assert (response.status_code, response.json()["items"]) == (200, [])


def test_a_key_without_the_authorizers_word_is_refused(home):
    response = ask(home.key, None)

    assert problem_of(response) == REFUSED
    assert response["WWW-Authenticate"] == "X-API-Key"


@pytest.mark.parametrize("name", ["API_GATEWAY_AUTHORIZER", "API-Gateway-Authorizer", "X-API-Gateway-Authorizer"])
def test_no_header_is_the_authorizers_word(home, name):
    assert problem_of(ask(home.key, None, **{name: str(word_about(home.key))})) == REFUSED


@pytest.mark.parametrize(
    "word",
    [
        {},
        "words",
        [],
        {"lambda": None},
        {"lambda": {}},
        {"iam": {"userArn": "x"}},
        {"lambda": {"tenantId": "TENANT"}},
        {"lambda": {"apiKeyId": "KEY"}},
        {"lambda": {"tenantId": "TENANT", "apiKeyId": "no UUID"}},
        {"lambda": {"tenantId": "TENANT", "apiKeyId": 7}},
        {"lambda": {"tenantId": None, "apiKeyId": "KEY"}},
        {"lambda": {"tenantId": str(uuid.UUID(int=1)), "apiKeyId": "KEY"}},
        {"lambda": {"tenantId": "TENANT", "apiKeyId": str(uuid.UUID(int=1))}},
    ],
)
def test_a_word_that_does_not_fit_is_refused(home, word):
    said = word_about(home.key)["lambda"]
    if isinstance(word, dict) and isinstance(word.get("lambda"), dict):
        real = {"TENANT": said["tenantId"], "KEY": said["apiKeyId"]}
        word = {"lambda": {name: real.get(value, value) for name, value in word["lambda"].items()}}

    assert problem_of(ask(home.key, word)) == REFUSED


def test_the_word_about_another_key_is_refused(home):
    other = make_tenant()
    same_tenant, elsewhere = make_key(home.tenant), make_key(other)

    for key in (same_tenant, elsewhere):
        assert problem_of(ask(home.key, word_about(key))) == REFUSED
        assert problem_of(ask(key, word_about(home.key))) == REFUSED
    assert problem_of(ask(None, word_about(home.key))) == REFUSED
    crossed = {"lambda": {**word_about(home.key)["lambda"], "tenantId": str(other.id)}}
    assert problem_of(ask(home.key, crossed)) == REFUSED


def test_a_key_revoked_a_moment_ago_is_refused(home):
    word = word_about(home.key)
    with home.scope():
        operations.revoke_api_key(api_key_id=ApiKey.objects.get().id, at=clock.now())

    assert problem_of(ask(home.key, word)) == REFUSED


def test_the_members_role_of_this_moment_counts(home):
    word = word_about(home.key)
    with home.scope():
        membership_id = ApiKey.objects.get().membership_id
    with operator():
        Membership.objects.filter(id=membership_id).update(role=Role.VIEWER)

    response = Client().post(
        PATH, data="{}", content_type="application/json", headers={"X-API-Key": home.key}, API_GATEWAY_AUTHORIZER=word
    )
    assert problem_of(response) == (403, "permission_denied")


@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/openapi.json"])
def test_the_documentation_is_open(database, path):
    assert ask(None, None, path).status_code == 200

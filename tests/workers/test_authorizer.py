"""The authorizer lets in whose key is good, says who that is, and denies everything else."""

import datetime as dt

import pytest
from django.db import OperationalError, connections

from fatfire.kit import clock
from services.accounts import operations
from services.accounts.models import ApiKey
from tenants.isolation import operator, tenant
from tenants.models import Membership
from tenants.permissions import Role
from tests.factories import make_key, make_tenant
from workers.authorizer import authorize

DENIED = {"isAuthorized": False}


def event(secret, **other):
    """Return what API Gateway asks (payload 2.0)."""
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-central-1:123456789012:api/web/GET/api/v1/portfolios",
        "identitySource": [secret],
        "routeKey": "ANY /api/v1/{proxy+}",
        "rawPath": "/api/v1/portfolios",
        "headers": {"x-api-key": secret, "host": "app.example.com"},
        **other,
    }


@pytest.fixture
def owner(database):
    return make_tenant()


@pytest.mark.parametrize("role", Role)
def test_a_good_key_is_let_in_with_who_it_acts_for(owner, role):
    secret = make_key(owner, role)

    with tenant(owner.id):
        key = ApiKey.objects.select_related("membership").get()
    assert authorize(event(secret)) == {
        "isAuthorized": True,
        "context": {
            "userId": str(key.membership.user_id),
            "tenantId": str(owner.id),
            "apiKeyId": str(key.id),
        },
    }


def test_no_path_is_decided_upon(owner):
    secret = make_key(owner)

    answers = [authorize(event(secret, rawPath=path)) for path in ("/api/v1/portfolios", "/elsewhere", "")]

    assert answers[0]["isAuthorized"]
    assert answers == [answers[0]] * 3


@pytest.mark.parametrize("secret", ["", "ff_", "ff_" + "x" * 43, "x" * 201, "ff_\0", "ff_é", None, 7, ["ff_x"]])
def test_a_key_that_is_none_is_denied(owner, secret):
    assert authorize(event(secret)) == DENIED


@pytest.mark.parametrize(
    "odd",
    [
        {"headers": None},
        {"headers": {}},
        {"headers": []},
        {"headers": {"authorization": "SECRET"}},
        {"headers": {"x-api-key": "SECRET,SECRET"}},
        {"headers": {"x-api-key": ["SECRET"]}},
        {"identitySource": None},
        {"identitySource": []},
        {"identitySource": "SECRET"},
        {"identitySource": ["another"]},
        {"identitySource": ["SECRET", "SECRET"]},
    ],
)
def test_an_odd_event_is_denied_though_the_key_is_good(owner, odd):
    secret = make_key(owner)

    def real(value):
        if isinstance(value, dict):
            return {name: real(each) for name, each in value.items()}
        if isinstance(value, list):
            return [real(each) for each in value]
        return value.replace("SECRET", secret) if isinstance(value, str) else value

    assert authorize(event(secret, **real(odd))) == DENIED


def test_a_key_without_its_header_is_denied(database):
    assert authorize({"type": "REQUEST", "routeArn": "x"}) == DENIED


@pytest.mark.parametrize("end", ["revoked", "expired", "no member"])
def test_a_key_that_has_ended_is_denied(owner, end):
    secret = make_key(owner)
    assert authorize(event(secret))["isAuthorized"]

    with tenant(owner.id):
        if end == "revoked":
            operations.revoke_api_key(api_key_id=ApiKey.objects.get().id, at=clock.now())
        elif end == "expired":
            ApiKey.objects.update(expires_at=clock.now() - dt.timedelta(seconds=1))
    if end == "no member":
        with operator():
            ApiKey.objects.all().delete()
            Membership.objects.filter(role=Role.OWNER).delete()

    assert authorize(event(secret)) == DENIED


def test_an_error_lets_nobody_in(owner):
    secret = make_key(owner)
    database = connections["default"].settings_dict
    before = database["HOST"]
    connections["default"].close()
    database["HOST"] = "/nowhere"
    try:
        with pytest.raises(OperationalError):
            authorize(event(secret))
    finally:
        database["HOST"] = before

"""How many requests a key may make in a minute."""

import datetime as dt
import threading

import pytest
from django.db import connections

from fatfire.kit import clock
from services.accounts.models import ApiKey
from services.accounts.operations import note_key_use
from services.accounts.queries import principal_of_key
from services.telemetry.models import Invocation, RequestCount
from tenants.isolation import operator, tenant
from tests.api.document import call
from tests.factories import make_key, make_tenant

START = dt.datetime(2026, 11, 23, 2, 0, 17, tzinfo=dt.UTC)


@pytest.fixture
def moment(monkeypatch, settings):
    """The present, to be moved; three requests a minute."""
    settings.API_REQUESTS_PER_MINUTE = 3
    present = [START]
    monkeypatch.setattr(clock, "now", lambda: present[0])
    return present


def ask(key, path="/api/v1/me"):
    return call("GET", path, key=key)


def test_requests_past_the_limit_are_refused_until_the_next_minute(database, moment):
    key = make_key(make_tenant())

    assert [ask(key).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refusal = ask(key)
    assert (refusal.json()["code"], refusal.json()["detail"]) == ("too_many_requests", "Try again in 43 s.")
    assert (refusal.headers["Retry-After"], refusal.headers["Content-Type"]) == ("43", "application/problem+json")

    moment[0] = START + dt.timedelta(seconds=42)
    assert ask(key).status_code == 429
    moment[0] = START + dt.timedelta(seconds=43)
    assert ask(key).status_code == 200


def test_refusals_of_any_kind_count_and_another_key_does_not(database, moment):
    owner = make_tenant()
    key, other = make_key(owner), make_key(owner)
    missing = "/api/v1/portfolios/67e55044-10b1-426f-9247-bb680e5fe0c8"

    assert [ask(key, missing).status_code for _ in range(4)] == [404, 404, 404, 429]
    assert ask(other).status_code == 200


def test_refused_requests_change_nothing_and_leave_one_count(database, moment):
    owner = make_tenant()
    key = make_key(owner)
    for _ in range(3):
        ask(key)

    body = '{"name": "Boat", "currency": "AUD", "time_zone": "UTC"}'
    assert {call("POST", "/api/v1/portfolios", key=key, body=body).status_code for _ in range(4)} == {429}

    with operator():
        assert Invocation.objects.count() == 3
        facts = RequestCount.objects.values_list("name", "status", "error_code", "requests")
        assert list(facts) == [("POST /api/v1/portfolios", 429, "too_many_requests", 4)]
    with tenant(owner.id):
        assert ApiKey.objects.get().counted_requests == 3


def test_no_use_is_lost_to_another_at_once(database):
    owner = make_tenant()
    secret = make_key(owner)
    with tenant(owner.id):
        principal = principal_of_key(api_key_id=ApiKey.objects.get().id, secret=secret, at=START)

    def run():
        try:
            for _ in range(5):
                with tenant(owner.id):
                    note_key_use(principal=principal, at=START)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    with tenant(owner.id):
        assert principal_of_key(api_key_id=principal.api_key_id, secret=secret, at=START).key_requests == 20
        later = START + dt.timedelta(minutes=1)
        assert principal_of_key(api_key_id=principal.api_key_id, secret=secret, at=later).key_requests == 0
        note_key_use(principal=principal, at=later)
        note_key_use(principal=principal, at=START)  # began before, ended after: counts in the newer minute
        key = ApiKey.objects.get()
    assert (key.counted_minute, key.counted_requests) == (dt.datetime(2026, 11, 23, 2, 1, tzinfo=dt.UTC), 2)

"""Encrypted values: they open where they belong and nowhere else, and not at all without the tenant's key."""

import threading
import uuid

import pytest
from cryptography.exceptions import InvalidTag
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.models import Asset, Portfolio
from tenants.encryption import decrypt, encrypt
from tenants.isolation import TenantNotSet, operator, shared, tenant
from tenants.models import TenantKey
from tests.factories import make_tenant

ROW = uuid.UUID(int=1)


def sealed_in(tenant_id: uuid.UUID, plain: str = "access-token") -> bytes:
    with tenant(tenant_id):
        return encrypt(plain, model=Portfolio, row_id=ROW, column="name")


def opened_in(tenant_id: uuid.UUID, sealed: bytes) -> str:
    with tenant(tenant_id):
        return decrypt(sealed, model=Portfolio, row_id=ROW, column="name")


def test_value_opens_where_it_was_sealed(database):
    one = make_tenant().id

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(st.characters(codec="utf-8")))
    def check(plain):
        sealed = encrypt(plain, model=Portfolio, row_id=ROW, column="name")
        assert decrypt(memoryview(sealed), model=Portfolio, row_id=ROW, column="name") == plain
        assert encrypt(plain, model=Portfolio, row_id=ROW, column="name") != sealed

    with tenant(one):
        check()


@pytest.mark.parametrize(
    "place",
    [
        {"model": Asset, "row_id": ROW, "column": "name"},
        {"model": Portfolio, "row_id": uuid.UUID(int=2), "column": "name"},
        {"model": Portfolio, "row_id": ROW, "column": "currency"},
    ],
    ids=["table", "row", "column"],
)
def test_value_does_not_open_elsewhere(place, database):
    one = make_tenant().id
    sealed = sealed_in(one)

    with pytest.raises(InvalidTag), tenant(one):
        decrypt(sealed, **place)


def test_value_does_not_open_in_another_tenant(database):
    one, two = make_tenant().id, make_tenant().id
    sealed = sealed_in(one)

    with pytest.raises(InvalidTag):
        opened_in(two, sealed)
    sealed_in(two)
    with pytest.raises(InvalidTag):
        opened_in(two, sealed)


def test_key_of_another_tenant_does_not_unwrap(database):
    one, two = make_tenant().id, make_tenant().id
    sealed = sealed_in(one)
    sealed_in(two)

    with operator():
        TenantKey.objects.filter(tenant=two).update(wrapped=TenantKey.objects.get(tenant=one).wrapped)
    with pytest.raises(InvalidTag):
        opened_in(two, sealed)


def test_changed_byte_is_noticed(database):
    one = make_tenant().id
    sealed = sealed_in(one, "x")

    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises((InvalidTag, ValueError)):
            opened_in(one, bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises((InvalidTag, ValueError)):
            opened_in(one, sealed[:length])


def test_two_first_uses_share_one_key(database):
    one = make_tenant().id
    together = threading.Barrier(2)
    sealed: list[bytes] = []

    def use():
        try:
            with tenant(one):
                together.wait(10)
                sealed.append(encrypt("access-token", model=Portfolio, row_id=ROW, column="name"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [opened_in(one, each) for each in sealed] == ["access-token", "access-token"]
    with operator():
        assert TenantKey.objects.count() == 1


def test_deleting_the_key_shreds(database):
    one = make_tenant().id
    sealed = sealed_in(one)

    with operator():
        TenantKey.objects.filter(tenant=one).delete()
    with pytest.raises(InvalidTag):
        opened_in(one, sealed)


@pytest.mark.parametrize("scope", [shared, operator])
def test_there_is_no_key_outside_a_tenant(scope, database):
    sealed = sealed_in(make_tenant().id)

    with scope():
        with pytest.raises(TenantNotSet):
            encrypt("x", model=Portfolio, row_id=ROW, column="name")
        with pytest.raises(TenantNotSet):
            decrypt(sealed, model=Portfolio, row_id=ROW, column="name")

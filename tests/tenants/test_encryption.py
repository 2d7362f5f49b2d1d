"""Encrypted values: they open where they belong and nowhere else, and not at all without the tenant's key."""

import threading
import uuid

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fatfire.kit.http import NetworkInTransaction
from services.core.models import Asset, Portfolio
from tenants import keys
from tenants.encryption import open_cipher
from tenants.isolation import operator, shared, tenant
from tenants.models import TenantKey
from tenants.seal import SealBroken
from tests.factories import make_tenant

ROW = uuid.UUID(int=1)
PLACE = {"model": Portfolio, "row_id": ROW, "column": "name"}


def sealed_in(tenant_id: uuid.UUID, plain: str = "access-token") -> bytes:
    return open_cipher(tenant_id).encrypt(plain, **PLACE)


def opened_in(tenant_id: uuid.UUID, sealed: bytes) -> str:
    return open_cipher(tenant_id).decrypt(sealed, **PLACE)


def test_value_opens_where_it_was_sealed(database):
    cipher = open_cipher(make_tenant().id)

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(st.characters(codec="utf-8")))
    def check(plain):
        sealed = cipher.encrypt(plain, **PLACE)
        assert cipher.decrypt(memoryview(sealed), **PLACE) == plain
        assert cipher.encrypt(plain, **PLACE) != sealed

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

    with pytest.raises(SealBroken):
        open_cipher(one).decrypt(sealed, **place)


def test_value_does_not_open_in_another_tenant(database):
    one, two = make_tenant().id, make_tenant().id
    sealed = sealed_in(one)

    with pytest.raises(SealBroken):
        opened_in(two, sealed)


def test_key_of_another_tenant_does_not_unwrap(database):
    one, two = make_tenant().id, make_tenant().id
    sealed = sealed_in(one)
    sealed_in(two)

    with operator():
        TenantKey.objects.filter(tenant=two).update(wrapped=TenantKey.objects.get(tenant=one).wrapped)
    with pytest.raises(SealBroken):
        opened_in(two, sealed)


def test_changed_byte_is_noticed(database):
    one = make_tenant().id
    sealed = sealed_in(one, "x")

    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises((SealBroken, ValueError)):
            opened_in(one, bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises((SealBroken, ValueError)):
            opened_in(one, sealed[:length])


def test_two_first_uses_share_one_key(database):
    one = make_tenant().id
    together = threading.Barrier(2)
    sealed: list[bytes] = []

    def use():
        try:
            together.wait(10)
            sealed.append(sealed_in(one))
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


def test_deleting_the_key_shreds_at_once(database):
    one = make_tenant().id
    sealed = sealed_in(one)

    with operator():
        TenantKey.objects.filter(tenant=one).delete()
    with pytest.raises(SealBroken):  # although this process still keeps the key
        opened_in(one, sealed)


@pytest.mark.parametrize("scope", [shared, operator, "tenant"])
def test_a_cipher_is_not_opened_in_a_transaction(scope, database):
    one = make_tenant().id
    open_cipher(one)  # the key is at hand: it is refused all the same

    with tenant(one) if scope == "tenant" else scope():
        with pytest.raises(NetworkInTransaction):
            open_cipher(one)
        with pytest.raises(NetworkInTransaction):
            keys.wrap(keys.new_key(), tenant_id=one)
        with pytest.raises(NetworkInTransaction):
            keys.unwrap(b"", tenant_id=one)


def test_a_cipher_works_in_a_transaction(database):
    one = make_tenant().id
    cipher = open_cipher(one)

    with tenant(one):
        assert cipher.decrypt(cipher.encrypt("x", **PLACE), **PLACE) == "x"


def test_a_cipher_does_not_show_its_key(database):
    one = make_tenant().id

    assert repr(open_cipher(one)) == f"Cipher(tenant_id={one!r})"

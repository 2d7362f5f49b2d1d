"""Tenants' keys are wrapped by KMS or by a file, for one tenant; and moved from one to the other without a stop."""

import uuid

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from django.core.management import CommandError, call_command
from django.test import override_settings

from fatfire.kit import aws
from services.core.models import Portfolio
from tenants import keys
from tenants.encryption import open_cipher
from tenants.isolation import operator
from tenants.keys import KeysUnavailable
from tenants.models import TenantKey
from tests.emulator import ROOT, client, running_emulator
from tests.factories import make_tenant

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)
PLACE = {"model": Portfolio, "row_id": ONE, "column": "name"}
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def endpoint():
    with running_emulator() as url:
        yield url


@pytest.fixture
def kms(endpoint, monkeypatch):
    """A key of KMS that wraps; yields its id."""
    for name, value in {**ROOT, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    _start_anew()
    key = client("kms", endpoint).create_key()["KeyMetadata"]["KeyId"]
    with override_settings(KMS_KEY_ID=key, MASTER_KEY_FILE="/nowhere"):
        yield key
    _start_anew()


def _start_anew():
    """Have this process know no more than a new one."""
    aws._client.cache_clear()
    keys.forget()


def _wrapped(tenant_id):
    with operator():
        return bytes(TenantKey.objects.get(tenant=tenant_id).wrapped)


def test_kms_wraps(kms):
    key = keys.new_key()
    wrapped = keys.wrap(key, tenant_id=ONE)
    _start_anew()

    assert (wrapped[:1], key in wrapped) == (b"\x02", False)
    assert keys.unwrap(wrapped, tenant_id=ONE) == key


def test_kms_unwraps_for_its_tenant_only(kms):
    wrapped = keys.wrap(keys.new_key(), tenant_id=ONE)
    keys.unwrap(wrapped, tenant_id=ONE)

    with pytest.raises(InvalidTag):
        keys.unwrap(wrapped, tenant_id=TWO)


def test_kms_is_asked_once_in_five_minutes(kms, monkeypatch):
    key = keys.new_key()
    wrapped = keys.wrap(key, tenant_id=ONE)
    now = 1000.0
    monkeypatch.setattr("tenants.keys.time.monotonic", lambda: now)
    keys.unwrap(wrapped, tenant_id=ONE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    aws._client.cache_clear()

    now = 1299.9
    assert keys.unwrap(wrapped, tenant_id=ONE) == key
    now = 1300.0
    with pytest.raises(KeysUnavailable):
        keys.unwrap(wrapped, tenant_id=ONE)


def test_process_keeps_no_more_keys_than_it_may(monkeypatch):
    monkeypatch.setattr(keys, "KEPT_AT_MOST", 2)
    kept = keys._Kept()

    for number in range(3):
        kept.put((ONE, bytes([number])), b"key")

    assert [kept.get((ONE, bytes([number]))) for number in range(3)] == [None, b"key", b"key"]


def test_disabled_key_opens_nothing(kms, endpoint):
    wrapped = keys.wrap(keys.new_key(), tenant_id=ONE)
    client("kms", endpoint).disable_key(KeyId=kms)

    with pytest.raises(ClientError, match="DisabledException"):
        keys.unwrap(wrapped, tenant_id=ONE)


def test_values_under_a_key_of_kms(kms, database):
    tenant_id = make_tenant().id
    sealed = open_cipher(tenant_id).encrypt("access-token", **PLACE)
    _start_anew()

    assert open_cipher(tenant_id).decrypt(sealed, **PLACE) == "access-token"
    assert _wrapped(tenant_id)[:1] == b"\x02"


def test_without_a_key_id_what_kms_wrapped_is_an_error(kms):
    wrapped = keys.wrap(keys.new_key(), tenant_id=ONE)

    with override_settings(KMS_KEY_ID=""), pytest.raises(ValueError, match="KMS_KEY_ID is not set"):
        keys.unwrap(wrapped, tenant_id=ONE)


@pytest.mark.parametrize("wrapped", [b"", b"\x03" + bytes(60)])
def test_unknown_way_is_an_error(wrapped):
    with pytest.raises(ValueError, match="in no way that this code knows"):
        keys.unwrap(wrapped, tenant_id=ONE)


def test_keys_move_from_the_file_to_kms_and_back(kms, database, settings, tmp_path, capsys):
    file = tmp_path / "master.key"
    file.write_text("5a" * 32)
    settings.MASTER_KEY_FILE = file
    one, two = make_tenant().id, make_tenant().id
    with override_settings(KMS_KEY_ID=""):
        sealed = open_cipher(one).encrypt("access-token", **PLACE)
    open_cipher(two)
    before = _wrapped(two)

    assert open_cipher(one).decrypt(sealed, **PLACE) == "access-token"  # before it was moved, too
    assert _wrapped(one)[:1] == b"\x01"
    for said in ("1 key", "0 keys"):
        call_command("rewrap_keys", "kms")
        assert capsys.readouterr().out == f"{said} wrapped anew, by kms.\n"
    assert (_wrapped(one)[:1], _wrapped(two)) == (b"\x02", before)
    _start_anew()
    with override_settings(MASTER_KEY_FILE=tmp_path / "gone"):
        assert open_cipher(one).decrypt(sealed, **PLACE) == "access-token"

    call_command("rewrap_keys", "file")
    assert capsys.readouterr().out == "2 keys wrapped anew, by file.\n"
    _start_anew()
    with override_settings(KMS_KEY_ID=""):
        assert open_cipher(one).decrypt(sealed, **PLACE) == "access-token"


def test_keys_that_do_not_unwrap_stay_and_are_told(kms, database, settings, tmp_path, capsys):
    settings.MASTER_KEY_FILE = tmp_path / "master.key"
    settings.MASTER_KEY_FILE.write_text("5a" * 32)
    broken, whole = make_tenant().id, make_tenant().id
    with override_settings(KMS_KEY_ID=""):
        open_cipher(broken)
        open_cipher(whole)
    with operator():
        TenantKey.objects.filter(tenant=broken).update(wrapped=b"\x01" + bytes(60))

    with pytest.raises(CommandError, match=f"of the tenants {broken}: InvalidTag"):
        call_command("rewrap_keys", "kms")

    assert capsys.readouterr().out == "1 key wrapped anew, by kms.\n"
    assert _wrapped(broken) == b"\x01" + bytes(60)
    assert _wrapped(whole)[:1] == b"\x02"

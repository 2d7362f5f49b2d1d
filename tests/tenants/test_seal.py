"""What is sealed: of one form for ever, and nothing but a whole seal opens."""

import pytest

from tenants.seal import SealBroken, open_sealed, seal

KEY = bytes(range(32))
# (plain, bound to, sealed by cryptography 50.0.2, which versions before this one sealed with)
SEALED = [
    (
        "access-token-0123456789-café".encode(),
        b"tenant|table|row|column",
        "6465666768696a6b6c6d6e6f2978bd030a9a7bea51093a86f7555bcf71f6333cbc54ca5fc4b0ca8b52823bac1d61d993a69d8e004a991e29"
        "68",
    ),
    (b"", b"", "6465666768696a6b6c6d6e6f609bd50f6ad76df665f048ba8c5fd706"),
    (
        bytes(range(48)),
        b"0" * 16,
        "6465666768696a6b6c6d6e6f481adc657dec5099366b55e3d66864f252d314199f79e565bfc8b653e7bebb57b4c862e36837bd23d5da5214"
        "d16fe4e03e11c9325d4062336563161d96f00470",
    ),
]


@pytest.mark.parametrize(("plain", "place", "sealed"), SEALED, ids=["token", "nothing", "whole blocks"])
def test_what_was_sealed_before_opens_and_is_sealed_alike(plain, place, sealed, monkeypatch):
    monkeypatch.setattr("tenants.seal.os.urandom", lambda count: bytes(range(100, 100 + count)))

    assert open_sealed(KEY, bytes.fromhex(sealed), bound_to=place) == plain
    assert seal(KEY, plain, bound_to=place).hex() == sealed


def test_no_part_of_a_seal_opens():
    sealed = seal(KEY, b"x" * 20, bound_to=b"here")

    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEY, sealed[:length], bound_to=b"here")


def test_each_changed_bit_breaks_it():
    sealed = seal(KEY, b"x" * 20, bound_to=b"here")

    for bit in range(8 * len(sealed)):
        changed = (int.from_bytes(sealed) ^ 1 << bit).to_bytes(len(sealed))
        with pytest.raises(SealBroken):
            open_sealed(KEY, changed, bound_to=b"here")


@pytest.mark.parametrize(("key", "place"), [(KEY[::-1], b"here"), (KEY[:16], b"here"), (KEY, b"there"), (KEY, b"")])
def test_another_key_or_place_does_not_open(key, place):
    sealed = seal(KEY, b"plain", bound_to=b"here")

    with pytest.raises(SealBroken):
        open_sealed(key, sealed, bound_to=place)


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"x"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match="key length"):
        seal(key, b"plain", bound_to=b"here")
    with pytest.raises(ValueError, match="key length"):
        open_sealed(key, bytes(40), bound_to=b"here")

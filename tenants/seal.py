"""AES-256-GCM: what is sealed opens with the same key, at the place it is bound to, and nowhere else.

Sealed is the nonce, the ciphertext and the tag, as RFC 5116 has them: whatever knows AES-GCM opens it with the key.
"""

import os

from Cryptodome.Cipher import AES

_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealBroken(Exception):
    """It was sealed with another key or for another place, or was changed since."""


def seal(key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
    """Return the nonce, the ciphertext and the tag."""
    nonce = os.urandom(_NONCE_BYTES)
    ciphertext, tag = AES.new(key, AES.MODE_GCM, nonce=nonce).update(bound_to).encrypt_and_digest(plain)
    return nonce + ciphertext + tag


def open_sealed(key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        SealBroken: with another key or for another place, or it was changed.
    """
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken
    nonce, ciphertext, tag = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce).update(bound_to)
    try:
        return cipher.decrypt_and_verify(ciphertext, tag)
    except ValueError as error:  # of the tag alone: a key that is none was refused above
        raise SealBroken from error

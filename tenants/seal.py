"""AES-256-GCM: what is sealed opens with the same key, at the place it is bound to, and nowhere else."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


def seal(key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
    """Return the nonce and the ciphertext."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def open_sealed(key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        cryptography.exceptions.InvalidTag: with another key or for another place, or it was changed.
        ValueError: there is not even a nonce.
    """
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)

"""Sessions in the database, each found by a hash of its key: who reads the table can't take over a session."""

import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession

from fatfire.kit import clock
from tenants.isolation import shared


class SessionStore(db.SessionStore):
    """Django's store, in `shared()` blocks of its own: a session is never loaded or ended inside a tenant's block."""

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        with shared():
            found = self.model.objects.filter(
                session_key=kept_key(self.session_key), expire_date__gt=clock.now()
            ).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        """Return whether there is a session of this key."""
        with shared():
            return self.model.objects.filter(session_key=kept_key(session_key)).exists()

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """Return the row that is to be saved."""
        row = super().create_model_instance(data)
        row.session_key = kept_key(row.session_key)
        return row

    def save(self, must_create: bool = False) -> None:
        """Write the session."""
        if self.session_key is None:
            self.create()  # which comes back with a key
            return
        with shared():
            super().save(must_create)

    def delete(self, session_key: str | None = None) -> None:
        """Remove the session, or the one of the key."""
        if key := session_key or self.session_key:
            with shared():
                self.model.objects.filter(session_key=kept_key(key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what has expired."""
        with shared():
            super().clear_expired()


def kept_key(session_key: str | None) -> str:
    """Return the row's key, which a column of 40 characters holds: 160 bits, as many as the key has at least."""
    return hashlib.blake2b((session_key or "").encode(), digest_size=20).hexdigest()

"""How a bank becomes linked: link token, the person's approval, one-time public token, item with its access token."""

import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.integration.sandbox.database import Database
from services.integration.sandbox.institutions import INSTITUTIONS, InstitutionPlan
from services.integration.sandbox.problems import Problem

PUBLIC_TOKEN_LASTS = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Item:
    """A linked bank; `access_token` is None until the public token is exchanged."""

    item_id: str
    institution: InstitutionPlan
    access_token: str | None
    webhook: str | None
    caught_up_on: dt.date
    login_required: bool
    removed: bool


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a client asks of a link session."""

    client_name: str
    language: str
    country_codes: Sequence[str]
    products: Sequence[str]
    webhook: str | None
    completion_redirect_uri: str | None
    history_days: int
    renews_item_id: str | None
    routing_number: str | None  # of the bank to show first


@dataclass(frozen=True, slots=True)
class LinkSession:
    """A link token and what became of it. Moments are aware, in UTC."""

    token: str
    session_id: str
    request: LinkRequest
    created_at: dt.datetime
    expires_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    public_token: str | None


class Links:
    """Reads and writes link sessions, public tokens and items."""

    def __init__(self, database: Database) -> None:
        """Keep everything in `database`."""
        self._database = database

    def create_link_token(self, request: LinkRequest, *, at: dt.datetime, lasts: dt.timedelta) -> LinkSession:
        """Begin a link session that may be finished until `at` + `lasts`."""
        token = f"link-sandbox-{secrets.token_urlsafe(24)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO link_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
                (
                    token,
                    at.isoformat(),
                    (at + lasts).isoformat(),
                    request.client_name,
                    request.language,
                    json.dumps(list(request.country_codes)),
                    json.dumps(list(request.products)),
                    request.webhook,
                    request.completion_redirect_uri,
                    request.history_days,
                    request.renews_item_id,
                    secrets.token_urlsafe(16),
                ),
            )
            if request.routing_number is not None:
                connection.execute("INSERT INTO highlight VALUES (?, ?)", (token, request.routing_number))
            return self.link_session(token)

    def link_session(self, token: str) -> LinkSession:
        """Return the session of a link token.

        Raises:
            Problem: there is no such token.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT * FROM link_token LEFT JOIN highlight USING (token) WHERE token = ?", (token,)
            ).fetchone()
        if row is None:
            raise Problem("INVALID_LINK_TOKEN")
        return _link_session(row)

    def start_session(self, token: str, *, at: dt.datetime) -> None:
        """Note that the person opened the page."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE link_token SET started_at = COALESCE(started_at, ?) WHERE token = ?", (at.isoformat(), token)
            )

    def finish_session(self, token: str, *, at: dt.datetime, public_token: str | None) -> None:
        """Note the person's answer; without a public token nothing new was linked."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE link_token SET finished_at = ?, public_token = ? WHERE token = ?",
                (at.isoformat(), public_token, token),
            )

    def create_item(self, institution: InstitutionPlan, *, webhook: str | None, today: dt.date) -> str:
        """Make an item that has no access token yet, and return its id."""
        item_id = secrets.token_urlsafe(24)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO item (id, institution_id, webhook, caught_up_on) VALUES (?, ?, ?, ?)",
                (item_id, institution.institution_id, webhook, today.isoformat()),
            )
        return item_id

    def create_public_token(self, item_id: str, *, at: dt.datetime) -> str:
        """Return a new token that can be exchanged once, soon."""
        token = f"public-sandbox-{secrets.token_urlsafe(24)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO public_token (token, item_id, expires_at) VALUES (?, ?, ?)",
                (token, item_id, (at + PUBLIC_TOKEN_LASTS).isoformat()),
            )
        return token

    def exchange(self, public_token: str, *, at: dt.datetime) -> tuple[str, str]:
        """Return the item's id and its new access token.

        Raises:
            Problem: the public token is unknown, used or expired.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM public_token WHERE token = ?", (public_token,)).fetchone()
            if row is None or row["used"] or at >= dt.datetime.fromisoformat(row["expires_at"]):
                raise Problem("INVALID_PUBLIC_TOKEN", "could not find matching public token, or it has expired")
            access_token = f"access-sandbox-{secrets.token_urlsafe(24)}"
            connection.execute("UPDATE public_token SET used = 1 WHERE token = ?", (public_token,))
            connection.execute("UPDATE item SET access_token = ? WHERE id = ?", (access_token, row["item_id"]))
        return row["item_id"], access_token

    def item_of_public_token(self, public_token: str) -> Item:
        """Return the item that a public token, even a used one, was made for."""
        return self._items("id = (SELECT item_id FROM public_token WHERE token = ?)", public_token)[0]

    def item_of_token(self, access_token: str) -> Item:
        """Return the item that an access token opens.

        Raises:
            Problem: the token is unknown, or the item was removed.
        """
        found = self._items("access_token = ?", access_token)
        if not found:
            raise Problem("INVALID_ACCESS_TOKEN", "could not find matching access token")
        if found[0].removed:
            raise Problem("ITEM_NOT_FOUND", "the Item was removed")
        return found[0]

    def item(self, item_id: str) -> Item:
        """Return an item by its id.

        Raises:
            KeyError: there is none.
        """
        found = self._items("id = ?", item_id)
        if not found:
            raise KeyError(item_id)
        return found[0]

    def items(self) -> list[Item]:
        """Return every item that isn't removed, oldest first."""
        return self._items("NOT removed ORDER BY rowid")

    def set_login_required(self, item_id: str, required: bool) -> None:
        """Have the bank ask for a new sign-in, or be content again."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE item SET login_required = ? WHERE id = ?", (required, item_id))

    def set_caught_up(self, item_id: str, on: dt.date) -> None:
        """Note the last day that the item has lived through."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE item SET caught_up_on = ? WHERE id = ?", (on.isoformat(), item_id))

    def remove_item(self, item_id: str) -> None:
        """End the item; its access token opens nothing any more."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE item SET removed = 1 WHERE id = ?", (item_id,))

    def _items(self, where: str, *values: Any) -> list[Item]:
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT * FROM item WHERE {where}", values).fetchall()  # noqa: S608 - constants of this class
        return [_item(row) for row in rows]


def _item(row: sqlite3.Row) -> Item:
    return Item(
        item_id=row["id"],
        institution=INSTITUTIONS[row["institution_id"]],
        access_token=row["access_token"],
        webhook=row["webhook"],
        caught_up_on=dt.date.fromisoformat(row["caught_up_on"]),
        login_required=bool(row["login_required"]),
        removed=bool(row["removed"]),
    )


def _link_session(row: sqlite3.Row) -> LinkSession:
    return LinkSession(
        token=row["token"],
        session_id=row["session_id"],
        request=LinkRequest(
            client_name=row["client_name"],
            language=row["language"],
            country_codes=json.loads(row["country_codes"]),
            products=json.loads(row["products"]),
            webhook=row["webhook"],
            completion_redirect_uri=row["completion_redirect_uri"],
            history_days=row["history_days"],
            renews_item_id=row["renews_item_id"],
            routing_number=row["routing_number"],
        ),
        created_at=dt.datetime.fromisoformat(row["created_at"]),
        expires_at=dt.datetime.fromisoformat(row["expires_at"]),
        started_at=_moment(row["started_at"]),
        finished_at=_moment(row["finished_at"]),
        public_token=row["public_token"],
    )


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)

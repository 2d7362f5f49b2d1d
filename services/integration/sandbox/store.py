"""The bank simulator's state: what its API reads and writes, and the controls for tests and the demo."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from services.integration.sandbox.database import Database
from services.integration.sandbox.institutions import INSTITUTIONS
from services.integration.sandbox.ledger import Ledger
from services.integration.sandbox.links import Item, Links
from services.integration.sandbox.problems import PROBLEMS, Problem

HISTORY_DAYS = 730


class Store(Ledger, Links):
    """Everything in one file. Amounts have Plaid's sign: positive goes out of the account."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, or make it with its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(Database(path))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one transaction."""
        with self._database.transaction():
            yield

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def link(
        self, institution_id: str, *, today: dt.date, webhook: str | None = None, history_days: int = HISTORY_DAYS
    ) -> str:
        """Make an item at a bank, with `history_days` days of history up to `today`, and return its id.

        Raises:
            Problem: there is no such bank.
        """
        institution = INSTITUTIONS.get(institution_id)
        if institution is None:
            raise Problem("INVALID_INSTITUTION", "invalid institution_id provided")
        with self.transaction():
            item_id = self.create_item(institution, webhook=webhook, today=today)
            self.open_accounts(item_id, institution, today=today, history_days=history_days)
        return item_id

    def catch_up(self, today: dt.date) -> None:
        """Have every linked household live on until `today`. Repeatable; a day already lived is not lived again."""
        for item in self.items():
            self.catch_up_item(item, today)

    def catch_up_item(self, item: Item, today: dt.date) -> None:
        """Have one household live on until `today`; a bank that waits for a sign-in tells nothing until it is done."""
        if item.login_required or item.caught_up_on >= today:
            return
        with self.transaction():
            self.live_until(item.item_id, item.institution, since=item.caught_up_on, today=today)
            self.set_caught_up(item.item_id, today)

    def fail_next(self, path: str, error_code: str, times: int = 1) -> None:
        """Answer the next `times` requests to `path` with an error of `PROBLEMS`."""
        if error_code not in PROBLEMS:
            raise KeyError(error_code)
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO fault (path, error_code) VALUES (?, ?)", [(path, error_code)] * times)

    def take_fault(self, path: str) -> str | None:
        """Return the error that the next request to `path` must have, once; None when it may succeed."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM fault WHERE path = ? ORDER BY id LIMIT 1", (path,)).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM fault WHERE id = ?", (row["id"],))
        error_code: str = row["error_code"]
        return error_code

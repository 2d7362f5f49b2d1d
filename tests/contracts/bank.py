"""A running bank simulator whose every exchange is held against Plaid's document, for any test that needs a bank."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fatfire.kit import http
from fatfire.kit.serving import Server
from services.integration.providers.plaid import Item, Plaid
from services.integration.sandbox.app import CLIENT_ID, SECRET, create_app
from services.integration.sandbox.institutions import WATTLE
from services.integration.sandbox.store import Store
from tests.contracts.contract import Checked, Contract

TODAY = dt.date(2026, 3, 18)
NOW = dt.datetime(2026, 3, 18, 2, 30, tzinfo=dt.UTC)
CONTRACT = Contract.of_plaid()


@dataclass
class Clock:
    """The bank's day and moment, set by the test."""

    today: dt.date = TODAY
    now: dt.datetime = NOW


@dataclass
class Bank:
    """The simulator at `url`, its controls, and an adapter that speaks to it."""

    url: str
    store: Store
    plaid: Plaid
    checked: Checked
    clock: Clock = field(default_factory=Clock)

    def sandbox(self, path: str, **asked: object) -> dict:
        """Send a request as the adapter never would, and return the answer's body."""
        headers = {"PLAID-CLIENT-ID": CLIENT_ID, "PLAID-SECRET": SECRET}
        return http.Client(self.url, headers=headers).post(path, asked).body

    def link(self, institution_id: str = WATTLE.institution_id, history_days: int = 30) -> Item:
        """Link a bank as a person in the sandbox does."""
        asked = {
            "institution_id": institution_id,
            "initial_products": ["transactions"],
            "options": {"transactions": {"days_requested": history_days}},
        }
        return self.plaid.exchange_public_token(self.sandbox("/sandbox/public_token/create", **asked)["public_token"])


@contextlib.contextmanager
def running_bank(path: Path) -> Iterator[Bank]:
    """Serve the simulator that lives in `path` on a free port; at the end, fail if an exchange broke the contract."""
    clock = Clock()
    store = Store(path)
    application = create_app(store, today=lambda: clock.today, now=lambda: clock.now)
    checked = Checked(application, CONTRACT)
    with contextlib.closing(store), Server(checked, 0) as server:
        try:
            yield Bank(server.url, store, Plaid(server.url, CLIENT_ID, SECRET), checked, clock)
        finally:
            http.close_connections()
    checked.raise_violations()

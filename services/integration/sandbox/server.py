"""Serve the simulator on the loopback interface: in a thread beside Django, or as a process of its own."""

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path

from fatfire.kit import clock
from fatfire.kit.serving import PortTaken, Server
from services.integration.sandbox.app import create_app
from services.integration.sandbox.store import Store

HOUSEHOLD_TIME_ZONE = "Australia/Sydney"


class Simulator(contextlib.AbstractContextManager["Simulator"]):
    """A running bank simulator: `url` for the adapter, `store` for the controls."""

    def __init__(self, store: Store, server: Server) -> None:
        """Keep both until `close()`."""
        self.store = store
        self.url = server.url
        self._server = server

    def wait(self) -> None:
        """Wait until another thread closes the simulator."""
        self._server.wait()

    def close(self) -> None:
        """Stop serving and close the file."""
        self._server.close()
        self.store.close()

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def household_today() -> dt.date:
    """Return the calendar day where the demo household lives."""
    return clock.local_date(clock.now(), HOUSEHOLD_TIME_ZONE)


def serve(store_path: Path, port: int, *, today: Callable[[], dt.date] = household_today) -> Simulator:
    """Serve the simulator that lives in the file `store_path` on `port` (0: a free one) of the loopback interface.

    Raises:
        PortTaken: another program listens there.
    """
    store = Store(store_path)
    try:
        return Simulator(store, Server(create_app(store, today=today), port))
    except PortTaken:
        store.close()
        raise

"""Serve the simulator on the loopback interface: in a thread beside Django, or as a process of its own."""

import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

from fatfire.kit import clock
from services.integration.sandbox.app import create_app
from services.integration.sandbox.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"
HOUSEHOLD_TIME_ZONE = "Australia/Sydney"
LARGEST_REQUEST_BYTES = 1024 * 1024


class PortTaken(RuntimeError):
    """Another program listens on the port that the bank simulator was given."""


class Server:
    """A WSGI application served by a daemon thread until `close()`. Can be used as a context manager."""

    def __init__(self, application: "WSGIApplication", port: int) -> None:
        """Listen on `port`; 0 takes a free one.

        Raises:
            PortTaken: another program listens there.
        """
        listening = _listening_socket(port)
        self.url = f"http://{HOST}:{listening.getsockname()[1]}"
        self._waitress = create_server(
            application,
            sockets=[listening],
            threads=4,
            max_request_body_size=LARGEST_REQUEST_BYTES,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        self._thread = threading.Thread(target=self._waitress.run, name="bank simulator", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until another thread closes the server."""
        self._thread.join()

    def close(self) -> None:
        """Finish the requests that have begun, then close every connection. Repeatable."""
        if not self._thread.is_alive():
            return
        self._waitress.task_dispatcher.shutdown()
        # Sockets belong to the serving thread, which ends when it has none left.
        self._waitress.trigger.pull_trigger(lambda: wasyncore.close_all(self._waitress._map))
        self._thread.join()

    def __enter__(self) -> "Server":
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


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


def _listening_socket(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        msg = f"The bank simulator can't listen on {HOST}:{port}: {error.strerror}. Give it another port."
        raise PortTaken(msg) from error
    return listening

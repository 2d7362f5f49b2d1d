"""Serving a WSGI application from a thread of this process, on the loopback interface: a laptop's web server."""

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"
LARGEST_REQUEST_BYTES = 1024 * 1024
THREADS = 8


class PortTaken(RuntimeError):
    """Another program listens on this port."""


class Server:
    """A WSGI application served by a daemon thread until `close()`. Can be used as a context manager."""

    def __init__(
        self, application: "WSGIApplication", port: int, *, largest_request_bytes: int = LARGEST_REQUEST_BYTES
    ) -> None:
        """Listen on `port`; 0 takes a free one. A larger request is refused.

        Raises:
            PortTaken: another program listens there.
        """
        listening = listening_socket(port)
        self.url = f"http://{HOST}:{listening.getsockname()[1]}"
        self._waitress = create_server(
            application,
            sockets=[listening],
            threads=THREADS,
            max_request_body_size=largest_request_bytes,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        self._thread = threading.Thread(target=self._waitress.run, name=f"web server {self.url}", daemon=True)
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
        # A loop that is awake already runs this before it is woken, and has then closed what would have woken it.
        with contextlib.suppress(OSError):
            self._waitress.trigger.pull_trigger(lambda: wasyncore.close_all(self._waitress._map))
        self._thread.join()

    def __enter__(self) -> "Server":
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def listening_socket(port: int) -> socket.socket:
    """Return a socket of the loopback interface that listens on `port`; 0 takes a free one.

    Raises:
        PortTaken: another program listens there.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        msg = f"Port {port} can't be used ({error.strerror})."
        raise PortTaken(msg) from error
    return listening

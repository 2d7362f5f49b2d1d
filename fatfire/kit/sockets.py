"""A laptop's stand-in for API Gateway's WebSocket API, on the loopback interface: the same events, the same addresses.

As there, a connection's beginning is an event that may refuse it, its end another, and whoever has something to say
posts it to `/@connections/<id>`. One function is asked, as one Lambda would be.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from django.db import connections
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from fatfire.kit.serving import HOST, Server, listening_socket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

type Receive = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_PREFIX = "/@connections/"
_PATIENCE_S = 5


class SocketServer:
    """Connections served by threads until `close()`. `url` is for browsers, `endpoint` for who has something to say."""

    def __init__(self, receive: Receive, port: int = 0) -> None:
        """Listen on `port`, and at a free one for what is to be said; 0 takes a free one.

        Raises:
            PortTaken: another program listens there.
        """
        self._receive = receive
        self._open: dict[str, ServerConnection] = {}
        self._ended = threading.Condition()
        listening = listening_socket(port)
        listening.listen()
        self.url = f"ws://{HOST}:{listening.getsockname()[1]}"
        self._server = serve(self._listen, sock=listening, process_request=self._begin)
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"sockets {self.url}", daemon=True)
        self._thread.start()
        self._saying = Server(self._say, 0)
        self.endpoint = self._saying.url

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End every connection, and return when the function has been told so. Repeatable."""
        self._saying.close()
        self._server.shutdown()
        self._thread.join()
        for each in list(self._open.values()):
            each.close(1001)
        with self._ended:
            self._ended.wait_for(lambda: not self._open, timeout=_PATIENCE_S)

    def _begin(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse the connection, where the function does."""
        query = dict(parse_qsl(urlsplit(request.path).query))
        answer = self._ask(connection, "CONNECT", queryStringParameters=query)
        status = answer.get("statusCode", HTTPStatus.OK)
        return None if status == HTTPStatus.OK else connection.respond(HTTPStatus(status), "")

    def _listen(self, connection: ServerConnection) -> None:
        """Keep a connection until it ends."""
        self._open[connection.id.hex] = connection
        try:
            for said in connection:
                self._ask(connection, "MESSAGE", body=said)
        finally:
            self._ask(connection, "DISCONNECT")
            with self._ended:
                del self._open[connection.id.hex]
                self._ended.notify_all()

    def _ask(self, connection: ServerConnection, kind: str, **facts: Any) -> Mapping[str, Any]:
        try:
            return self._receive({"requestContext": {"eventType": kind, "connectionId": connection.id.hex}, **facts})
        finally:
            connections.close_all()  # those of this thread, which ends without a chance to do it

    def _say(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Say what is posted to a connection; 410 when it has gone."""
        connection = self._open.get(unquote(environ["PATH_INFO"]).removeprefix(_PREFIX))
        said = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        try:
            if connection is None or environ["REQUEST_METHOD"] != "POST":
                raise ConnectionClosed(None, None)
            connection.send(said)
        except ConnectionClosed:
            start_response("410 Gone", [("X-Amzn-ErrorType", "GoneException"), ("Content-Length", "0")])
            return []
        start_response("200 OK", [("Content-Length", "0")])
        return []

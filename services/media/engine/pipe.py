"""Messages between a piece of work and the process that guards it: JSON and bytes, never pickles."""

import json
import socket
import struct

from services.media.engine.wire import Json

_HEAD = struct.Struct(">II")
_MOST_JSON = 64 << 20
_MOST_BYTES = 1 << 30
ORDER_BYTES = 16
"""Length of what the template is told: a number and descriptors."""


class Closed(Exception):
    """The other side is gone."""


class Nonsense(Exception):
    """What came isn't a message."""


def send(connection: socket.socket, message: dict[str, Json], content: bytes = b"") -> None:
    """Send a message with some bytes."""
    text = json.dumps(message).encode()
    connection.sendall(_HEAD.pack(len(text), len(content)) + text)
    if content:  # else the other side has all: it may have answered by now, and be gone
        connection.sendall(content)


def receive(connection: socket.socket) -> tuple[dict[str, Json], bytes]:
    """Return the next message and its bytes.

    Raises:
        Closed: there won't be one.
        Nonsense: it isn't one, or too large for one.
        TimeoutError: none came in the connection's time.
    """
    text_size, size = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if text_size > _MOST_JSON or size > _MOST_BYTES:
        raise Nonsense("a message is too large")
    try:
        message = json.loads(_exactly(connection, text_size))
    except ValueError as error:
        raise Nonsense(str(error)) from error
    if not isinstance(message, dict):
        raise Nonsense("a message isn't an object")
    return message, _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes; where the connection waits for them, in one piece that isn't copied again."""
    content = connection.recv(size, socket.MSG_WAITALL)
    if len(content) == size:
        return content
    pieces, at = [content], len(content)
    while at < size:
        if not pieces[-1]:
            raise Closed
        pieces.append(connection.recv(size - at, socket.MSG_WAITALL))
        at += len(pieces[-1])
    return b"".join(pieces)

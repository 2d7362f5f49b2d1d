"""What Lambda calls in the functions that serve pages and the API: gives each event to whom it belongs.

Zappa's own handler would also run what an event names ("command", "raw_command", "manage", …), and set environment
variables from it: here it sees requests of the HTTP API, and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from fatfire import secrets

secrets.load()  # before anything reads the settings

# Now, while the function starts with a whole processor, and not at the first request, which has a part of one.
from django.db import close_old_connections  # noqa: E402
from zappa.handler import lambda_handler as zappa  # type: ignore[import-untyped]  # noqa: E402

import fatfire.wsgi  # noqa: E402, F401

_WEBSOCKET_EVENTS = frozenset({"CONNECT", "MESSAGE", "DISCONNECT"})
_OF_A_REQUEST = ("version", "rawPath", "rawQueryString", "headers", "cookies", "requestContext", "body")


class UnknownEvent(ValueError):
    """This function isn't made for such an event."""


def lambda_handler(event: Mapping[str, Any], context: Any) -> Any:
    """Answer a request, an authorizer's question or a WebSocket's event.

    Raises:
        UnknownEvent: it is none of them; nothing was done.
    """
    close_old_connections()  # a frozen process wakes up with connections that the database has closed
    request = event.get("requestContext") or {}
    if event.get("type") == "REQUEST" and "routeArn" in event:
        from workers import authorizer

        return authorizer.authorize(event)
    if request.get("eventType") in _WEBSOCKET_EVENTS:
        from workers import websocket

        return websocket.receive(event)
    if event.get("version") == "2.0" and "http" in request:
        return _answer(event, context)
    msg = f"no event of ours: its keys are {sorted(event)}"
    raise UnknownEvent(msg)


def _answer(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Let Zappa turn the request into WSGI and the answer back, and mend what it gets wrong there.

    Its middleware repeats each cookie, and an answer without a body has null for one.
    """
    known = {name: event[name] for name in (*_OF_A_REQUEST, "isBase64Encoded") if name in event}

    answer: dict[str, Any] = zappa(known, context)
    answer["body"] = answer.get("body") or ""
    answer["cookies"] = list(dict.fromkeys(answer.get("cookies") or ()))
    return answer

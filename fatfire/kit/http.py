"""Outgoing HTTP: the one door to banks and other outside services.

One bounded pool for the process, made at the first request and again after a fork. JSON numbers arrive as `Decimal`,
so that money never passes through a float. Nothing is retried and no redirect is followed: jobs retry, and an API that
moves is a configuration to correct. Messages name the host and the path, never a header, a query or a body.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
from django.db import connections

from fatfire.kit.errors import TransientError

CONNECT_SECONDS = 5.0
POOL_CONNECTIONS = 20
MAX_ANSWER_BYTES = 16 * 1024 * 1024

# httpx logs every address with its query, where some APIs carry a token; httpcore logs headers.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_lock = threading.Lock()
_pools: dict[int, httpx.Client] = {}


class NetworkInTransaction(RuntimeError):
    """An outside service was called while a database transaction was open: its locks would wait for the network."""


class Unreachable(TransientError):
    """An outside service didn't answer, is overloaded or failed."""


class Unreadable(TransientError):
    """An outside service answered with something other than was asked for, or of no reasonable size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered, below 500: `body` is its JSON with `Decimal` for every number that has a fraction."""

    status: int
    body: Any


class Client:
    """The JSON API at one address, spoken to with the same headers each time. Holds no socket; make one freely."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str] | None = None, read_seconds: float = 30.0) -> None:
        """Speak to `base_url`; `headers` may carry secrets and are never shown."""
        self._base_url = base_url.rstrip("/")
        self._host = httpx.URL(base_url).host
        self._headers = dict(headers or {})
        self._timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)

    def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Answer:
        """Read `path`.

        Raises:
            NetworkInTransaction: a transaction is open in this thread.
            Unreachable: no answer, or one of 429 or 5xx.
            Unreadable: the answer isn't JSON, or is too large.
        """
        return self._exchange("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send `body` as JSON to `path`.

        Raises:
            NetworkInTransaction: a transaction is open in this thread.
            Unreachable: no answer, or one of 429 or 5xx.
            Unreadable: the answer isn't JSON, or is too large.
        """
        content = json.dumps(body, allow_nan=False).encode()
        return self._exchange("POST", path, content=content, headers={"Content-Type": "application/json"})

    def _exchange(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any) -> Answer:
        refuse_in_transaction()
        if not path.startswith("/"):
            msg = "a path begins with a slash, or it could name another host"
            raise ValueError(msg)
        where = f"{self._host}{path}"
        all_headers = {"Accept": "application/json", **self._headers, **(headers or {})}
        status, content = _fetch(
            method, self._base_url + path, where, headers=all_headers, timeout=self._timeout, **sent
        )
        return Answer(status, _parsed(content, where))


def get_text(url: str) -> str:
    """Read a text document in UTF-8, for instance XML.

    Raises:
        NetworkInTransaction: a transaction is open in this thread.
        Unreachable: no answer, or one of 429 or 5xx.
        Unreadable: the answer has another status than 200, isn't UTF-8, or is too large.
    """
    refuse_in_transaction()
    address = httpx.URL(url)
    where = f"{address.host}{address.path}"
    status, content = _fetch("GET", url, where, timeout=httpx.Timeout(30.0, connect=CONNECT_SECONDS))
    if status != httpx.codes.OK:
        msg = f"{where} answered {status}."
        raise Unreadable(msg)
    try:
        return content.decode()
    except UnicodeDecodeError:
        msg = f"{where} answered with something that isn't UTF-8."
        raise Unreadable(msg) from None


def refuse_in_transaction() -> None:
    """Make sure that no database connection of this thread is inside a transaction.

    Raises:
        NetworkInTransaction: one is.
    """
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            msg = f"the connection {connection.alias!r} has an open transaction"
            raise NetworkInTransaction(msg)


def close_connections() -> None:
    """Close the process's idle connections; the next request opens new ones."""
    with _lock:
        client = _pools.pop(os.getpid(), None)
    if client is not None:
        client.close()


def _pool() -> httpx.Client:
    """Return this process's client. A forked child must not share its parent's connections, hence the process id."""
    with _lock:
        client = _pools.get(os.getpid())
        if client is None:
            client = httpx.Client(
                limits=httpx.Limits(max_connections=POOL_CONNECTIONS, max_keepalive_connections=POOL_CONNECTIONS),
                follow_redirects=False,
                trust_env=False,
                headers={"User-Agent": "fatfire"},
            )
            _pools[os.getpid()] = client
        return client


def _fetch(method: str, url: str, where: str, **sent: Any) -> tuple[int, bytes]:
    """Return the status, below 500, and the unpacked body."""
    try:
        with _pool().stream(method, url, **sent) as response:
            content = _content(response, where)
    except httpx.TransportError as error:
        # Not chained: the cause's message and request may hold what we promise not to show.
        msg = f"{where} could not be reached ({type(error).__name__})."
        raise Unreachable(msg) from None
    except httpx.DecodingError:
        msg = f"{where} answered with something that could not be unpacked."
        raise Unreadable(msg) from None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        msg = f"{where} answered {response.status_code}."
        raise Unreachable(msg)
    return response.status_code, content


def _content(response: httpx.Response, where: str) -> bytes:
    """Return the unpacked body, reading no further than the limit."""
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            msg = f"{where} answered with more than {MAX_ANSWER_BYTES} bytes."
            raise Unreadable(msg)
    return bytes(content)


def _parsed(content: bytes, where: str) -> Any:
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        msg = f"{where} answered with something that isn't JSON."
        raise Unreadable(msg) from None


def _no_number(constant: str) -> None:
    raise ValueError(constant)

"""The simulator as a WSGI application: JSON endpoints by POST, and the hosted link page."""

import datetime as dt
import json
import secrets
from collections.abc import Callable, Iterable
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fatfire.kit import clock
from services.integration.sandbox.answers import exact_json
from services.integration.sandbox.endpoints import Endpoints
from services.integration.sandbox.pages import LinkPage, Page
from services.integration.sandbox.problems import Problem
from services.integration.sandbox.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Not secrets: the simulator guards nothing, and checks them only because Plaid does.
CLIENT_ID = "simulator-client"
SECRET = "simulator-secret"  # noqa: S105

PAGE_PREFIX = "/link/link-"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def create_app(
    store: Store,
    *,
    today: Callable[[], dt.date],
    now: Callable[[], dt.datetime] = clock.now,
    client_id: str = CLIENT_ID,
    secret: str = SECRET,
) -> "WSGIApplication":
    """Return the simulator over `store`; `today` is the banks' day, up to which households live on at each request."""
    endpoints = Endpoints(store, client_id=client_id, secret=secret, today=today, now=now)
    pages = LinkPage(store, today=today, now=now)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with store.transaction():
            if environ["PATH_INFO"].startswith(PAGE_PREFIX):
                return _send_page(_page(pages, environ), start_response)
            status, body = _answer(endpoints, environ)
        content = exact_json(body).encode()
        start_response(_status(status), [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]

    return application


def _answer(endpoints: Endpoints, environ: "WSGIEnvironment") -> tuple[int, dict[str, Any]]:
    """Return the status and the body; a `Problem` is an answer too, and what led to it is kept."""
    request_id = secrets.token_hex(8)
    try:
        if environ["REQUEST_METHOD"] != "POST":
            raise Problem("NOT_FOUND", "every endpoint takes POST")
        credentials = environ.get("HTTP_PLAID_CLIENT_ID", ""), environ.get("HTTP_PLAID_SECRET", "")
        body = endpoints.answer(
            environ["PATH_INFO"],
            _parsed(_sent(environ)),
            header_credentials=credentials,
            origin=f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}",
        )
    except Problem as problem:
        return problem.status, problem.body(request_id)
    return 200, body | {"request_id": request_id}


def _page(pages: LinkPage, environ: "WSGIEnvironment") -> Page:
    token = environ["PATH_INFO"].removeprefix("/link/")
    if environ["REQUEST_METHOD"] == "POST":
        return pages.take(token, _sent(environ).decode("utf-8", "replace"))
    return pages.show(token)


def _send_page(page: Page, start_response: "StartResponse") -> Iterable[bytes]:
    content = page.content.encode()
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(content))),
        ("Content-Security-Policy", PAGE_POLICY),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ]
    if page.location is not None:
        headers.append(("Location", page.location))
    start_response(page.status, headers)
    return [content]


def _sent(environ: "WSGIEnvironment") -> bytes:
    sent: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return sent


def _parsed(sent: bytes) -> Any:
    try:
        return json.loads(sent, parse_float=Decimal)
    except ValueError as error:
        raise Problem("INVALID_BODY", "body could not be parsed as JSON") from error


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"

"""CPU time of this process for GET /api/v1/transactions?limit=100, against the same list in plain django-ninja.

The baseline is the shortest way to write it: `list[Schema]` from model instances in a tenant's transaction. It neither
authenticates nor records the invocation; ours does. Both answers are asserted equal. The last line is JSON; `ratio` is
how many times less CPU ours takes.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import plugin  # gives this process a database of its own

django.setup()

# what follows needs the settings, and they the database
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.test.utils import override_settings
from django.urls import path
from ninja import NinjaAPI

from fatfire.api import api
from services.core.models import Transaction
from services.core.schemas import TransactionOut
from tenants.isolation import tenant
from tests import factories

ROWS, LIMIT, ROUNDS, REQUESTS = 1000, 100, 30, 20

owner = factories.make_tenant()
plain = NinjaAPI(urls_namespace="plain", docs_url=None, openapi_url=None)


@plain.get("/transactions", response=list[TransactionOut])
def list_transactions(request: HttpRequest, limit: int) -> list[Any]:
    """Serve the newest transactions of the one tenant that there is."""
    with tenant(owner.id):
        rows = list(Transaction.objects.select_related("asset").order_by("-booked_on", "-id")[:limit])
        for row in rows:
            row.currency, row.amount = row.asset.currency, f"{row.amount:.2f}"
        return rows


urlpatterns = [path("api/v1/", api.urls), path("plain/", plain.urls)]


def caller(handler: WSGIHandler, url: str, **headers: str) -> Callable[[], bytes]:
    """Return a function that makes one request as a server would."""

    def call() -> bytes:
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": url, "QUERY_STRING": f"limit={LIMIT}", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
            **headers,
        }  # fmt: skip
        statuses: list[str] = []
        response = handler(environ, lambda status, _: statuses.append(status))
        body = b"".join(response)
        response.close()
        assert statuses == ["200 OK"], (statuses, body)
        return body

    return call


def cpu_us(call: Callable[[], bytes]) -> float:
    """Return the CPU microseconds of one call, over a few."""
    start = time.process_time()
    for _ in range(REQUESTS):
        call()
    return (time.process_time() - start) / REQUESTS * 1e6


def main() -> None:
    """Fill a tenant, then take turns."""
    with tenant(owner.id):
        asset = factories.make_asset(factories.make_portfolio())
        for _ in range(ROWS):
            factories.make_transaction(asset)
    without_ours = [each for each in settings.MIDDLEWARE if each != "fatfire.middleware.RequestMiddleware"]
    with override_settings(ROOT_URLCONF=__name__):
        ours = caller(WSGIHandler(), "/api/v1/transactions", HTTP_X_API_KEY=factories.make_key(owner))
        with override_settings(MIDDLEWARE=without_ours):
            baseline = caller(WSGIHandler(), "/plain/transactions")
        assert json.loads(ours())["items"] == json.loads(baseline())
        figures = [(cpu_us(ours), cpu_us(baseline)) for _ in range(ROUNDS)]
    ours_us, plain_us = (statistics.median(column) for column in zip(*figures, strict=True))
    ratio = statistics.median(base / own for own, base in figures)
    print(
        f"GET /api/v1/transactions?limit={LIMIT}: median of {ROUNDS} rounds of {REQUESTS} requests, CPU of this process"
    )
    print(f"  ours, with authentication and invocation   {ours_us:6.0f} us")
    print(f"  plain ninja list[Schema], without either   {plain_us:6.0f} us")
    print(f"  plain / ours                               {ratio:6.2f}")
    shown = {
        "ratio": round(ratio, 2),
        "ours_us": round(ours_us),
        "plain_ninja_us": round(plain_us),
        "outputs_equal": True,
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    try:
        main()
    finally:
        plugin.pytest_unconfigure()

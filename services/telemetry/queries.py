"""Reading whether this process can do its work, and how it did."""

import datetime as dt
from dataclasses import dataclass

from django.apps import apps
from django.db import connection, connections
from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from services.telemetry.models import Invocation
from tenants.isolation import current_alias, shared


def database_is_ready() -> bool:
    """Return whether the database answers as app_tenant and has every model's table (an unmigrated one hasn't).

    Raises:
        django.db.Error: it can't be reached.
    """
    tables = [model._meta.db_table for model in apps.get_models() if model._meta.managed]
    with shared(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user = 'app_tenant' AND bool_and(to_regclass(name) IS NOT NULL)"
            " FROM unnest(%s::text[]) AS name",
            [tables],
        )
        row: tuple[bool] = cursor.fetchone()
    return row[0]


@dataclass(frozen=True, slots=True)
class RequestsInHour:
    """How many requests were answered, and how many not (a 5xx), in the hour that begins at `hour` (UTC)."""

    hour: dt.datetime
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the requests of one route took, in milliseconds: half of them at most p50, 19 of 20 at most p95."""

    name: str
    requests: int
    p50_ms: int
    p95_ms: int


def requests_by_hour(*, since: dt.datetime) -> list[RequestsInHour]:
    """Return the requests that began at or after `since`, by hour; hours without any are absent."""
    requests = Invocation.objects.filter(kind=Invocation.Kind.REQUEST, started_at__gte=since)
    failed = Q(outcome=Invocation.Outcome.FAILED)
    counted = requests.annotate(hour=TruncHour("started_at")).values("hour")
    counted = counted.annotate(answered=Count("id", filter=~failed), failed=Count("id", filter=failed))
    return [RequestsInHour(**row) for row in counted.order_by("hour")]


def slowest_routes(*, since: dt.datetime, most: int) -> list[Pace]:
    """Return the routes of the requests that began at or after `since`, the slowest by their p95 first."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            SELECT name, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50,
                percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95
            FROM telemetry_invocation WHERE kind = 'request' AND started_at >= %s
            GROUP BY name ORDER BY p95 DESC, name LIMIT %s
            """,
            [since, most],
        )
        return [Pace(*row) for row in cursor.fetchall()]

"""Writing the record of what ran."""

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, connections

from services.telemetry.models import Invocation, RequestCount
from tenants.isolation import current_alias, current_tenant_id

Kind = Invocation.Kind
Outcome = Invocation.Outcome

_process_has_run = False


@dataclass(frozen=True, slots=True)
class Run:
    """One finished invocation: what, when (aware), how it ended. `status` is a request's, `job_id` a job's."""

    kind: Invocation.Kind
    name: str
    outcome: Invocation.Outcome
    started_at: dt.datetime
    ended_at: dt.datetime
    request_id: str
    status: int | None = None
    error_code: str = ""
    job_id: UUID | None = None


def record_invocation(run: Run) -> None:
    """Add the invocation, in the open scope: the tenant's, or the operator's for a job of the platform."""
    with connections[current_alias()].cursor() as cursor:  # once for every request: the ORM would take longer
        cursor.execute(
            """
            INSERT INTO telemetry_invocation (id, tenant_id, kind, name, outcome, status, error_code, started_at,
                duration_ms, cold_start, request_id, job_id)
            VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                current_tenant_id(),
                run.kind,
                run.name[:120],
                run.outcome,
                run.status,
                run.error_code,
                run.started_at,
                _duration_ms(run),
                _is_cold_start(),
                run.request_id,
                run.job_id,
            ],
        )


def count_request(run: Run) -> None:
    """Count a request that is not recorded by itself, in a `shared()` block; see `RequestCount`.

    app_tenant may not touch the counts; this SQL function adds one and does nothing else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lookup.count_request(%s, %s::int, %s, %s, %s)",
            [run.name[:120], run.status, run.error_code, run.started_at, _duration_ms(run)],
        )


def delete_invocations(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` invocations that began before, oldest first; return how many. In `operator()`."""
    old = Invocation.objects.filter(started_at__lt=before).order_by("started_at")
    return Invocation.objects.filter(id__in=old.values("id")[:limit]).delete()[0]


def delete_request_counts(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` counts of minutes before, oldest first; return how many. In `operator()`."""
    old = RequestCount.objects.filter(minute__lt=before).order_by("minute")
    return RequestCount.objects.filter(id__in=old.values("id")[:limit]).delete()[0]


def _duration_ms(run: Run) -> int:
    return max(0, round((run.ended_at - run.started_at).total_seconds() * 1000))


def _is_cold_start() -> bool:
    """Return whether this is the first invocation that the process records."""
    global _process_has_run  # a fact about the process
    first, _process_has_run = not _process_has_run, True
    return first

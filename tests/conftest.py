"""What every test may ask for."""

import datetime as dt
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from tests.plugin import admin_dsn

KEPT_TABLES = {"django_migrations"}


@pytest.fixture(scope="session")
def admin() -> Iterator[psycopg.Connection]:
    """Return a superuser's connection, which no policy holds."""
    with psycopg.connect(admin_dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(django_db_blocker, admin) -> Iterator[None]:
    """Let the test use the database. What it commits is real, and gone afterwards."""
    with django_db_blocker.unblock():
        yield
        for connection in connections.all(initialized_only=True):
            connection.close()
    _empty(admin)


def _empty(admin: psycopg.Connection) -> None:
    """Truncate the tables that have rows; asking first is much cheaper than truncating all."""
    tables = [
        row[0]
        for row in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        if row[0] not in KEPT_TABLES
    ]
    asked = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(table, sql.Identifier(table)) for table in tables
    )
    filled = [sql.Identifier(row[0]) for row in admin.execute(asked)]
    if filled:
        admin.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(filled)))


@pytest.fixture
def run_jobs(database) -> Callable[..., int]:
    """Return a function that runs all jobs that are due, as workers would, until none is; it returns how many steps ran."""
    from fatfire.kit import clock
    from services.jobs.models import JobStep
    from tenants.isolation import operator
    from workers import tasks  # noqa: F401  # registers the operations
    from workers.runner import advance

    def run(now: Callable[[], dt.datetime] = clock.now) -> int:
        ran = 0
        while due := _due(now()):
            ran += sum(advance(job_id=job_id, tenant_id=tenant_id, now=now) for job_id, tenant_id in due)
        return ran

    def _due(at: dt.datetime) -> list[tuple[UUID, UUID | None]]:
        with operator():
            steps = JobStep.objects.filter(state="queued", run_after__lte=at).order_by("run_after", "id")
            return list(steps.values_list("job_id", "tenant_id"))

    return run

"""What every test may ask for."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.pq import TransactionStatus
from xdist.scheduler import LoadScopeScheduling

from tests.plugin import admin_dsn

if TYPE_CHECKING:
    from tests.workers.queues import Queues

KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}  # written by migrate
LARGE_BYTES = 1 << 20
"""From what size a table is to be vacuumed: reading it to find nothing takes a millisecond."""

# How long an example takes says nothing on a machine that is shared.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


TOGETHER = ("tests/lambda/", "tests/browser/test_page_guard.py")
"""Tests that share what takes long to make: everything deployed, the households that all pages show."""


class SharedOnce(LoadScopeScheduling):
    """Gives each test to whichever process is free, but those that belong together to one, and these first."""

    def _split_scope(self, nodeid: str) -> str:
        return next((each for each in TOGETHER if nodeid.startswith(each)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedOnce:
    """Distribute the tests. (Marks of groups do nothing: pytest-xdist 3.8 doesn't know pytest 9.2's node ids.)"""
    return SharedOnce(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a skipped test fail the run in CI: what isn't run there is run nowhere."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and (skipped := reporter.stats.get("skipped")):
        reporter.write_line(f"{len(skipped)} skipped, and CI allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
            _leave(connection)
    delete_all_rows(admin)


def _leave(connection: BaseDatabaseWrapper) -> None:
    """Keep a connection with nothing open for the next test: what is new to a connection costs more than most tests."""
    raw = connection.connection
    if raw is None or connection.in_atomic_block or raw.info.transaction_status is not TransactionStatus.IDLE:
        connection.close()


def delete_all_rows(admin: psycopg.Connection) -> None:
    """Delete every row. Truncating is several times as slow: it makes a new file for each table and each index."""
    if not admin.execute("SELECT to_regproc('pg_temp.empty_tables')").fetchone()[0]:
        _prepare_emptying(admin)
    with admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")  # neither foreign keys nor triggers are asked
        large = admin.execute("SELECT pg_temp.empty_tables()").fetchall()
    for (table,) in large:
        admin.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))


def _prepare_emptying(admin: psycopg.Connection) -> None:
    """Make a function of this session that deletes all rows and returns the tables that are large by then."""
    tables = [
        row[0]
        for row in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        if row[0] not in KEPT_TABLES
    ]
    lines = [
        sql.SQL("DELETE FROM {table}; IF pg_relation_size({name}) > {large} THEN RETURN NEXT {text}; END IF;").format(
            table=sql.Identifier(table),
            name=sql.Literal(f'public."{table}"'),
            large=LARGE_BYTES,
            text=table,
        )
        for table in tables
    ]
    body = sql.SQL("BEGIN {} END").format(sql.SQL(" ").join(lines)).as_string(admin)
    admin.execute(
        sql.SQL("CREATE FUNCTION pg_temp.empty_tables() RETURNS SETOF text LANGUAGE plpgsql AS {}").format(body)
    )


@pytest.fixture
def run_jobs(database) -> Callable[..., int]:
    """Return the function that runs all jobs that are due, as workers would, until none is."""
    from workers import tasks  # noqa: F401  # registers the operations
    from workers.runner import run_due

    return run_due


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Return the endpoint of an emulator of AWS, one for each test process."""
    from tests.emulator import running_emulator

    with running_emulator() as endpoint:
        yield endpoint


@pytest.fixture
def queues(emulator, settings) -> Iterator["Queues"]:
    """Return empty queues on the emulator's SQS, which carry all messages of the test."""
    from services.jobs.jobs import Queue
    from tests.workers.queues import Queues, aws_at

    with aws_at(emulator):
        made = Queues()
        settings.ENVIRONMENT = made.environment
        made.make()
        settings.QUEUE_BROKERS = {queue.value: "sqs://" for queue in Queue}
        yield made

"""Fingerprints of what a job leaves: its rows without what differs from run to run."""

import datetime as dt
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from django.apps import apps
from django.conf import settings as django_settings
from psycopg import sql
from psycopg.rows import dict_row

from fatfire.kit.storage import storage
from tests.job_guard.scenarios import Work

BOOKKEEPING = {
    "jobs_job": {"id", "kind", "subject_id", "state", "error_code"},
    "jobs_jobstep": {"job_id", "name", "state", "error_code"},
}
"""The only columns of these that count."""
LEFT_OUT = {"telemetry_invocation"}
MEASURED = {"media_segment": {"cpu_ms", "wall_ms", "memory_mb"}}
"""Columns that say what the work took."""
OPAQUE = {"external_id", "item_id", "cursor"}
"""Columns whose texts are ids that the bank makes up."""
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COUNTS = {"accounts_signinrequest": "t.next_path", "accounts_signintoken": "(t.next_path, t.used_at)"}
"""What counts of a shared table whose rows are no two times the same: secrets, addresses, moments."""
ROUNDS = 4


def fingerprint(work: Work, admin) -> list[str]:
    """Return a line for each row of the tenant, and for the job; equal for equal rows up to a renaming of all ids.

    Each id is replaced by a digest of the rows in which it stands, and these again by their ids' digests, a few times
    over: so rows count as equal only if they also hang together in the same way.
    """
    rows = [*tenant_rows(work, admin)]
    standing: dict[object, str] = defaultdict(str)
    for _ in range(ROUNDS):
        places = defaultdict(list)
        for table, row in rows:
            line = written(table, row, standing)
            for column, value in row.items():
                if is_id(column, value):
                    places[value].append(f"{column}@{line}")
        standing = defaultdict(str, {each: digest("\n".join(sorted(found))) for each, found in places.items()})
    return [*sorted(written(table, row, standing) for table, row in rows), *shared_rows(admin), *kept_files(work)]


def kept_files(work: Work) -> list[str]:
    """Return a line for each of the tenant's files: none may be left to which nothing points."""
    found = storage().list_files(f"{work.seen_in}/")
    return sorted(f"file {UUID_TEXT.sub('<uuid>', each.key)} {each.size}" for each in found)


def tenant_rows(work: Work, admin) -> Iterator[tuple[str, dict[str, object]]]:
    tables = admin.execute("SELECT DISTINCT table_name FROM information_schema.columns WHERE column_name = 'tenant_id'")
    with admin.cursor(row_factory=dict_row) as cursor:
        for (table,) in sorted(tables.fetchall()):
            if table in LEFT_OUT:
                continue
            cursor.execute(
                sql.SQL("SELECT * FROM {} WHERE tenant_id = %s").format(sql.Identifier(table)), [work.seen_in]
            )
            for row in cursor.fetchall():
                kept = BOOKKEEPING.get(table, row.keys() - MEASURED.get(table, set()))
                yield table, {name: each for name, each in row.items() if name in kept}
        cursor.execute("SELECT kind, state, error_code FROM jobs_job WHERE id = %s", [work.job_id])
        yield "the job", cursor.fetchone()


def shared_rows(admin) -> list[str]:
    """Return a line for each table that belongs to no tenant, but users: no job makes any."""
    tables = [
        apps.get_model(label)._meta.db_table for label in django_settings.SHARED_MODELS if label != "tenants.User"
    ]
    summed = sql.SQL("SELECT count(*), sum(hashtext({}::text)) FROM {} t")
    return [
        f"{table} {admin.execute(summed.format(sql.SQL(COUNTS.get(table, 't')), sql.Identifier(table))).fetchone()}"
        for table in tables
    ]


def is_id(column: str, value: object) -> bool:
    return isinstance(value, UUID) or (column in OPAQUE and bool(value))


def written(table: str, row: dict[str, object], standing: dict[object, str]) -> str:
    return f"{table} " + ", ".join(f"{column}={shown(column, row[column], standing)}" for column in sorted(row))


def shown(column: str, value: object, standing: dict[object, str]) -> str:
    if is_id(column, value):
        return f"<{standing[value]}>"
    if isinstance(value, dt.datetime):
        return "<moment>"
    if isinstance(value, bytes):
        return "<bytes>"
    return UUID_TEXT.sub("<uuid>", str(value))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""The restore drill: bring a moment of the database back beside it, and hold what came back against what was there."""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import IsolationLevel, sql

POLL_S = 30
MOST_WAIT_S = 3 * 3600

type Restore = Callable[[dt.datetime], contextlib.AbstractContextManager[str]]
"""Gives, for a moment (aware), the URL of a copy of the database as it was then, for the length of a block."""


class DrillFailed(Exception):
    """What came back isn't what was there, or nothing came back; the text says what."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: rows by table, and the policies in force, in their own words."""

    rows: Mapping[str, int]
    policies: frozenset[str]


def contents(url: str) -> tuple[dt.datetime, Contents]:
    """Return a moment of the database's clock and what it then held, as the role of the URL may see it.

    app_operator sees all rows; the owner, whom the policies hold too, sees none.
    """
    with psycopg.connect(url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        tables = connection.execute("""
            SELECT oid::regclass::text, relname FROM pg_class
            WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
                AND has_table_privilege(oid, 'SELECT')
        """).fetchall()
        counts = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, count(*) FROM {}").format(name, sql.Identifier(table)) for name, table in tables
        )
        rows = {str(name): int(count) for name, count in connection.execute(counts)}
        policies = connection.execute("""
            SELECT format('%s.%s to %s: %s / %s', tablename, policyname, roles, qual, with_check) FROM pg_policies
            UNION ALL
            SELECT format('%s is forced', relname) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity
        """)
        found = Contents(rows, frozenset(line for (line,) in policies))
        moment: dt.datetime = connection.execute("SELECT clock_timestamp()").fetchone()[0]  # type: ignore[index]
    return moment, found


def differences(before: Contents, after: Contents, restored: Contents) -> list[str]:
    """Return how what came back differs from what was there, which was counted before and after the moment.

    On a database that nobody writes to, before and after are the same, and the copy must be, too.
    """
    found = []
    for table in sorted({*before.rows, *restored.rows}):
        least, most = sorted((before.rows.get(table, 0), after.rows.get(table, 0)))
        if not least <= (count := restored.rows.get(table, 0)) <= most:
            found.append(f"{table} has {count} rows, and had {least}" + (f" to {most}" if most > least else ""))
    found += [f"lost: {each}" for each in sorted(before.policies - restored.policies)]
    found += [f"new: {each}" for each in sorted(restored.policies - before.policies)]
    return found


def drill(url: str, restore: Restore, *, say: Callable[[str], object]) -> None:
    """Restore the present moment of the database at `url` (as app_operator), and verify the copy.

    Raises:
        DrillFailed: it isn't the same.
    """
    moment, before = contents(url)
    _, after = contents(url)
    say(f"{sum(before.rows.values())} rows in {len(before.rows)} tables at {moment:%Y-%m-%d %H:%M:%S %Z}; restoring")
    started = time.monotonic()
    with restore(moment) as copy:
        say(f"restored after {time.monotonic() - started:.0f} s; counting")
        _, restored = contents(copy)
    if wrong := differences(before, after, restored):
        raise DrillFailed("\n".join(wrong))
    say(f"the copy is the same: rows of {len(restored.rows)} tables, {len(restored.policies)} policies; it is gone")


def on_rds(rds: Any, instance: str, url: str) -> Restore:
    """Return what restores `instance` into one beside it, whose database is reached like that of `url`.

    The copy is as private as the original, and is deleted after the block, whatever happens in it.
    """

    @contextlib.contextmanager
    def restore(moment: dt.datetime) -> Iterator[str]:
        original = _restorable(rds, instance, moment)
        name = f"{instance}-drill"
        rds.restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier=instance,
            TargetDBInstanceIdentifier=name,
            RestoreTime=moment,
            DBSubnetGroupName=original["DBSubnetGroup"]["DBSubnetGroupName"],
            VpcSecurityGroupIds=[each["VpcSecurityGroupId"] for each in original["VpcSecurityGroups"]],
            DBParameterGroupName=original["DBParameterGroups"][0]["DBParameterGroupName"],
            PubliclyAccessible=False,
            MultiAZ=False,
            DeletionProtection=False,
            Tags=[{"Key": "purpose", "Value": "restore drill"}],
        )
        try:
            rds.get_waiter("db_instance_available").wait(
                DBInstanceIdentifier=name, WaiterConfig={"Delay": POLL_S, "MaxAttempts": MOST_WAIT_S // POLL_S}
            )
            yield _at(url, _described(rds, name)["Endpoint"])
        finally:
            rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)

    return restore


def _restorable(rds: Any, instance: str, moment: dt.datetime) -> dict[str, Any]:
    """Return the instance, once the log of the moment is kept: that takes about five minutes.

    Raises:
        DrillFailed: backups are switched off, or the log doesn't come.
    """
    for _ in range(MOST_WAIT_S // POLL_S):
        described = _described(rds, instance)
        if not described["BackupRetentionPeriod"]:
            msg = f"{instance} keeps no backups"
            raise DrillFailed(msg)
        if described["LatestRestorableTime"] >= moment:
            return described
        time.sleep(POLL_S)
    msg = f"{instance} can't be restored to {moment}: its log isn't kept"
    raise DrillFailed(msg)


def _described(rds: Any, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]
    return found


def _at(url: str, endpoint: Mapping[str, Any]) -> str:
    """Return the URL with another host and port."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{account}@{endpoint['Address']}:{endpoint['Port']}").geturl()

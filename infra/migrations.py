"""Whether migrations may run while the release before serves: what their SQL does to it, and what they say of that.

A migration that does something dangerous must say, in a class attribute `safe_because`, why it is all right here.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from django.db import connections
from django.db.migrations import Migration, RunPython
from django.db.migrations.loader import MigrationLoader
from django_migration_linter.sql_analyser.base import Check, CheckMode, CheckType
from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

from tenants.isolation import OWNER_ALIAS

OURS = ("fatfire", "tenants", "services", "workers")
_PENDING = re.compile(r"^\[ \]\s+(\w+)\.(\w+)", re.MULTILINE)

type Name = tuple[str, str]


class DangerousMigrations(Exception):
    """Migrations would break the release that serves, and don't say why they don't; nothing was migrated."""


def _on_old_table(statement: str, before: Iterable[str]) -> bool:
    """Whether the statement is about a table that none of the statements before it made."""
    table = re.search(r'(?:TABLE|ON) ("?[\w.]+"?)', statement)
    return table is not None and not any(each.startswith(f"CREATE TABLE {table[1]}") for each in before)


def _found(pattern: str, statements: list[str], **_: object) -> bool:
    return any(
        re.search(pattern, each) is not None and _on_old_table(each, statements[:number])
        for number, each in enumerate(statements)
    )


def _locks_out_writers(statements: list[str], **_: object) -> bool:
    return _found(r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)", statements)


def _validates(statements: list[str], **_: object) -> bool:
    return _found(r"ADD CONSTRAINT .* (CHECK|FOREIGN KEY) (?!.*NOT VALID)", statements)


def _hides_rows(statements: list[str], **_: object) -> bool:
    return _found(r"(CREATE|ALTER|DROP) POLICY|ROW LEVEL SECURITY", statements)


class _Analyser(PostgresqlAnalyser):
    """The linter's checks, one of them mended, and those of what it doesn't know."""

    migration_checks: list[Check] = [  # noqa: RUF012  # as the linter declares it
        *(each for each in PostgresqlAnalyser.migration_checks if not each.code.startswith("CREATE_INDEX")),
        # The linter's own takes an index on an expression of a new table for one of an old table.
        Check(
            code="CREATE_INDEX",
            fn=_locks_out_writers,
            message="CREATE INDEX locks table",
            mode=CheckMode.TRANSACTION,
            type=CheckType.ERROR,
        ),
        Check(
            code="VALIDATES",
            fn=_validates,
            message="ADDING a constraint reads the whole table under a lock (NOT VALID, then validate)",
            mode=CheckMode.TRANSACTION,
            type=CheckType.ERROR,
        ),
        Check(
            code="HIDES_ROWS",
            fn=_hides_rows,
            message="CHANGING policies changes which rows the code that serves can see",
            mode=CheckMode.TRANSACTION,
            type=CheckType.ERROR,
        ),
    ]


def dangers_of(migration: Migration, statements: list[str]) -> list[str]:
    """Return what the migration, which is those SQL statements, does to the release that serves; nothing is good."""
    analyser = _Analyser(None)
    analyser.analyse(statements)
    found = sorted({each.message for each in (*analyser.errors, *analyser.warnings)})
    kinds = {isinstance(each, RunPython) for each in migration.operations}
    return [*found, "MIXING data and schema holds locks for as long as the data take"] if len(kinds) == 2 else found


def examine(names: Collection[Name] | None = None) -> Iterator[tuple[Migration, list[str]]]:
    """Yield our migrations of those names (app, migration), else all of ours, each with its dangers.

    Needs a connection of the owner, to any PostgreSQL: it writes the SQL, and runs none of it.
    """
    loader = MigrationLoader(connections[OWNER_ALIAS], replace_migrations=False)
    for name, migration in sorted(loader.graph.nodes.items()):
        if type(migration).__module__.split(".")[0] in OURS and (names is None or name in names):
            sql = [line for line in loader.collect_sql([(migration, False)]) if not line.startswith("--")]
            yield migration, dangers_of(migration, ["BEGIN;", *sql, "COMMIT;"] if migration.atomic else sql)


def pending_in(listing: str) -> set[Name]:
    """Return the migrations that `showmigrations --plan` lists as not applied."""
    return {(match[1], match[2]) for match in _PENDING.finditer(listing)}


def refuse_dangerous(listing: str) -> None:
    """Let pass what `showmigrations --plan` lists as not applied, when all of it is safe or says why it is.

    On an empty database everything is.

    Raises:
        DangerousMigrations: at least one is not.
    """
    pending = pending_in(listing)
    if "[X]" not in listing or not pending:
        return
    refused = [
        f"{migration.app_label}.{migration.name}: {'; '.join(dangers)}"
        for migration, dangers in examine(pending)
        if dangers and not getattr(migration, "safe_because", "")
    ]
    if refused:
        raise DangerousMigrations("\n".join(refused))

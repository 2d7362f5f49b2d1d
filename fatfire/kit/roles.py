"""The three database roles and what each may reach, put in place on any PostgreSQL from 15.

app_owner owns the schema and migrates; app_tenant serves requests and jobs under row-level security; app_operator works
across tenants by policies written for it. None is a superuser and none bypasses row-level security.
"""

from collections.abc import Mapping
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

OWNER: Final = "app_owner"
TENANT: Final = "app_tenant"
OPERATOR: Final = "app_operator"
LOOKUP_SCHEMA: Final = "lookup"
"""Where the SECURITY DEFINER functions live that find rows before a tenant is known; they run as app_operator."""

_LOCK_KEY: Final = 7_402_117_311_850_226  # arbitrary; any two runs must agree
_FIRST_WITH_GRANT_OPTIONS: Final = 160000

_ATTRIBUTES: Final[Mapping[str, tuple[bool, LiteralString]]] = {
    "rolcanlogin": (True, "LOGIN"),
    "rolsuper": (False, "NOSUPERUSER"),
    "rolbypassrls": (False, "NOBYPASSRLS"),
    "rolcreatedb": (False, "NOCREATEDB"),
    "rolcreaterole": (False, "NOCREATEROLE"),
    "rolreplication": (False, "NOREPLICATION"),
}
_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    OWNER: {"lock_timeout": "5s"},
    TENANT: {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "60s"},
    OPERATOR: {"statement_timeout": "5min", "idle_in_transaction_session_timeout": "60s"},
}


def bootstrap_roles(admin_dsn: str, *, database: str, passwords: Mapping[str, str] | None = None) -> None:
    """Create the roles and `database` or bring them to the state described here; repeatable, also at the same time.

    `admin_dsn` reaches an existing database as a superuser, or as a role with CREATEROLE and CREATEDB, which becomes a
    member of app_owner. `passwords` (role name to password) are hashed here and never leave this process in clear;
    a role that isn't named keeps the password it has, or none.

    Raises:
        ValueError: `passwords` names another role than the three.
    """
    passwords = passwords or {}
    if unknown := passwords.keys() - _SETTINGS.keys():
        msg = f"no such role: {', '.join(sorted(unknown))}"
        raise ValueError(msg)

    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Of two runs that both miss a role, one would fail on the other's; held until the connection closes.
        admin.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
        for role in _SETTINGS:
            _converge_role(admin, role)
            if role in passwords:
                _set_password(admin, role, passwords[role])
        _grant_memberships(admin)
        _converge_database(admin, database)
        with psycopg.connect(make_conninfo(admin_dsn, dbname=database)) as inside:
            _converge_schemas(inside)


def _converge_role(admin: psycopg.Connection, role: str) -> None:
    """Name only attributes that differ: a managed PostgreSQL's admin may not even repeat NOSUPERUSER."""
    columns = sql.SQL(", ").join(map(sql.Identifier, _ATTRIBUTES))
    query = sql.SQL("SELECT {} FROM pg_roles WHERE rolname = %s").format(columns)
    found = admin.execute(query, [role]).fetchone()
    if found is None:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        found = (True, False, False, False, False, False)
    differing = [word for has, (wanted, word) in zip(found, _ATTRIBUTES.values(), strict=True) if has != wanted]
    if differing:
        words = sql.SQL(" ").join(map(sql.SQL, differing))
        admin.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role), words))
    for name, value in _SETTINGS[role].items():
        statement = sql.SQL("ALTER ROLE {} SET {} = {}")
        admin.execute(statement.format(sql.Identifier(role), sql.Identifier(name), sql.Literal(value)))


def _set_password(admin: psycopg.Connection, role: str, password: str) -> None:
    """Send the SCRAM verifier: a clear password in a statement would end up in the server's log."""
    verifier = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _grant_memberships(admin: psycopg.Connection) -> None:
    """Let app_owner become app_operator by SET ROLE, and only so: a migration says when it works across tenants.

    An admin that is no superuser becomes a member of app_owner, else it couldn't hand over the database, nor connect
    to it later.
    """
    if admin.info.server_version >= _FIRST_WITH_GRANT_OPTIONS:
        by_choice, always = sql.SQL(" WITH INHERIT FALSE, SET TRUE"), sql.SQL(" WITH INHERIT TRUE, SET TRUE")
    else:
        by_choice = always = sql.SQL("")  # the role's NOINHERIT says it there: see _converge_schemas
    grant = sql.SQL("GRANT {} TO {}")
    admin.execute(grant.format(sql.Identifier(OPERATOR), sql.Identifier(OWNER)) + by_choice)
    if not _is_superuser(admin):
        admin.execute(grant.format(sql.Identifier(OWNER), sql.SQL("CURRENT_USER")) + always)


def _is_superuser(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


def _converge_database(admin: psycopg.Connection, database: str) -> None:
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    found = admin.execute(query, [database]).fetchone()
    names = {"database": sql.Identifier(database), "owner": sql.Identifier(OWNER)}
    if found is None:
        statement = sql.SQL("CREATE DATABASE {database} OWNER {owner} ENCODING 'UTF8' TEMPLATE template0")
        admin.execute(statement.format(**names))
    elif found[0] != OWNER:
        admin.execute(sql.SQL("ALTER DATABASE {database} OWNER TO {owner}").format(**names))


def _converge_schemas(inside: psycopg.Connection) -> None:
    """Set who may connect, and who owns and uses the schemas, each as the owner, in one transaction."""
    database = inside.info.dbname
    names = {
        "database": sql.Identifier(database),
        "owner": sql.Identifier(OWNER),
        "tenant": sql.Identifier(TENANT),
        "operator": sql.Identifier(OPERATOR),
        "lookup": sql.Identifier(LOOKUP_SCHEMA),
    }
    statements: list[LiteralString] = [
        "SET LOCAL ROLE {owner}",
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {owner}, {tenant}, {operator}",
        "ALTER SCHEMA public OWNER TO {owner}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {tenant}, {operator}",
        # app_owner is a member of app_operator without inheriting it, which is enough to hand it a schema.
        "CREATE SCHEMA IF NOT EXISTS {lookup} AUTHORIZATION {operator}",
        "SET LOCAL ROLE {operator}",
        "GRANT USAGE ON SCHEMA {lookup} TO {owner}, {tenant}",
    ]
    if inside.info.server_version < _FIRST_WITH_GRANT_OPTIONS:
        # There a role inherits from all its roles or from none. Without app_operator's rights the owner lacks
        # those of pg_database_owner too, who has a new database's public schema: it gets them for this transaction.
        statements = ["ALTER ROLE {owner} INHERIT", *statements, "RESET ROLE", "ALTER ROLE {owner} NOINHERIT"]
    for statement in statements:
        inside.execute(sql.SQL(statement).format(**names))

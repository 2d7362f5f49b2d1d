"""What each database role may and may not do, on every PostgreSQL installed here."""

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from fatfire.kit.postgres import EmbeddedPostgres, bin_dir
from fatfire.kit.roles import LOOKUP_SCHEMA, OPERATOR, OWNER, TENANT, bootstrap_roles
from tests.kit.conftest import copy_cluster, open_folder

DATABASE = "wealth"
ADMIN = "managed_admin"
PROGRAMS = [
    bin_dir(),
    *(pytest.param(folder, marks=pytest.mark.long) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"))),
]
ONLY_LOGIN = (True, False, False, False, False, False)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda folder: folder.parent.name)
def postgres(request, initialised_root) -> Iterator[EmbeddedPostgres]:
    """Run a cluster bootstrapped by a superuser."""
    with _cluster(request.param, initialised_root) as cluster:
        bootstrap_roles(cluster.dsn("postgres", "postgres"), database=DATABASE)
        yield cluster


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda folder: folder.parent.name)
def managed(request, initialised_root) -> Iterator[EmbeddedPostgres]:
    """Run a cluster whose admin is no superuser, as a cloud gives it."""
    with _cluster(request.param, initialised_root) as cluster:
        with connect(cluster, "postgres", "postgres") as superuser:
            superuser.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB")
        yield cluster


@contextlib.contextmanager
def _cluster(programs: Path, initialised_root: Path) -> Iterator[EmbeddedPostgres]:
    folder = open_folder()
    if programs == bin_dir():
        copy_cluster(initialised_root, folder / "cluster")
    with EmbeddedPostgres(folder / "cluster", durable=False, binaries=programs) as cluster:
        yield cluster
    shutil.rmtree(folder)


@contextlib.contextmanager
def connect(postgres: EmbeddedPostgres, role: str, database: str = DATABASE) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.dsn(role, database), autocommit=True) as connection:
        yield connection


def described(postgres: EmbeddedPostgres) -> dict[str, list[tuple[object, ...]]]:
    """Read everything the bootstrap decides."""
    queries = {
        "roles": "SELECT * FROM pg_roles WHERE rolname LIKE 'app_%' ORDER BY rolname",
        "members": "SELECT roleid, member, admin_option FROM pg_auth_members ORDER BY 1, 2, 3",
        "databases": "SELECT datname, datdba, datacl::text FROM pg_database ORDER BY 1",
        "schemas": "SELECT nspname, nspowner, nspacl::text FROM pg_namespace ORDER BY 1",
    }
    with connect(postgres, "postgres") as superuser:
        return {name: superuser.execute(query).fetchall() for name, query in queries.items()}


def attributes(postgres: EmbeddedPostgres) -> dict[str, tuple[bool, ...]]:
    query = (
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication "
        "FROM pg_roles WHERE rolname LIKE 'app_%'"
    )
    with connect(postgres, "postgres", "postgres") as superuser:
        rows = superuser.execute(query).fetchall()
    return {row[0]: row[1:] for row in rows}


def test_the_roles_may_log_in_and_nothing_more(postgres):
    assert attributes(postgres) == {OWNER: ONLY_LOGIN, TENANT: ONLY_LOGIN, OPERATOR: ONLY_LOGIN}


def test_attributes_somebody_added_are_taken_away(postgres):
    with connect(postgres, "postgres") as superuser:
        superuser.execute(f"ALTER ROLE {TENANT} SUPERUSER BYPASSRLS CREATEDB NOLOGIN")

    bootstrap_roles(postgres.dsn("postgres", "postgres"), database=DATABASE)

    assert attributes(postgres)[TENANT] == ONLY_LOGIN


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (id int)",
        f"CREATE TABLE {LOOKUP_SCHEMA}.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (id int)",
        f"SET ROLE {OPERATOR}",
        f"SET ROLE {OWNER}",
        "SET SESSION AUTHORIZATION postgres",
        f"ALTER ROLE {TENANT} BYPASSRLS",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
    ],
)
def test_the_tenant_role_is_refused(postgres, statement):
    with connect(postgres, TENANT) as tenant, pytest.raises(InsufficientPrivilege):
        tenant.execute(statement)


@pytest.mark.parametrize("role", [OWNER, TENANT, OPERATOR])
def test_no_role_sees_a_row_that_no_policy_shows(postgres, role):
    with connect(postgres, OWNER) as owner:
        owner.execute("CREATE TABLE secret AS SELECT 1 AS id")
        owner.execute(f"GRANT SELECT ON secret TO {TENANT}, {OPERATOR}")
        owner.execute("ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")

        with connect(postgres, role) as connection:
            seen = connection.execute("SELECT count(*) FROM secret").fetchone()
            connection.execute("SET row_security = off")
            with pytest.raises(InsufficientPrivilege, match="row-level security"):
                connection.execute("SELECT count(*) FROM secret")
        owner.execute("DROP TABLE secret")

    assert seen == (0,)


def test_the_owner_is_operator_only_after_saying_so(postgres):
    create = f"CREATE FUNCTION {LOOKUP_SCHEMA}.whoami() RETURNS text LANGUAGE sql"
    with connect(postgres, OWNER) as owner:
        with pytest.raises(InsufficientPrivilege):
            owner.execute(f"{create} RETURN current_user")
        with owner.transaction():
            owner.execute(f"SET LOCAL ROLE {OPERATOR}")
            owner.execute(f"{create} SECURITY DEFINER RETURN current_user")
        assert owner.execute("SELECT current_user").fetchone() == (OWNER,)

    with connect(postgres, TENANT) as tenant:
        assert tenant.execute(f"SELECT {LOOKUP_SCHEMA}.whoami()").fetchone() == (OPERATOR,)


def test_a_stranger_can_not_connect(postgres):
    with connect(postgres, "postgres") as superuser:
        superuser.execute("CREATE ROLE stranger LOGIN")

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(postgres.dsn("stranger", DATABASE))


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (OWNER, {"lock_timeout": "5s", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}),
        (TENANT, {"lock_timeout": "0", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min"}),
        (OPERATOR, {"lock_timeout": "0", "statement_timeout": "5min", "idle_in_transaction_session_timeout": "1min"}),
    ],
)
def test_each_role_has_its_time_limits(postgres, role, expected):
    with connect(postgres, role) as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0] for name in expected}

    assert found == expected


def test_a_second_run_changes_nothing(postgres):
    before = described(postgres)

    bootstrap_roles(postgres.dsn("postgres", "postgres"), database=DATABASE)

    assert described(postgres) == before


def test_a_database_that_exists_changes_hands(postgres):
    with connect(postgres, "postgres") as superuser:
        superuser.execute("CREATE DATABASE older")

    bootstrap_roles(postgres.dsn("postgres", "postgres"), database="older")

    with connect(postgres, OWNER, "older") as owner:
        owner.execute("CREATE TABLE public.mine (id int)")


def test_a_password_is_stored_hashed_and_never_logged(postgres):
    bootstrap_roles(postgres.dsn("postgres", "postgres"), database=DATABASE, passwords={TENANT: "correct horse"})

    with connect(postgres, "postgres") as superuser:
        query = "SELECT rolname, left(rolpassword, 14) FROM pg_authid WHERE rolname LIKE 'app_%' ORDER BY 1"
        assert superuser.execute(query).fetchall() == [(OPERATOR, None), (OWNER, None), (TENANT, "SCRAM-SHA-256$")]
    assert "correct horse" not in (postgres.root / "log").read_text()


def test_a_password_for_an_unknown_role_is_refused(postgres):
    with pytest.raises(ValueError, match="no such role: app_tennant"):
        bootstrap_roles(postgres.dsn("postgres", "postgres"), database=DATABASE, passwords={"app_tennant": "x"})


def test_an_admin_who_is_no_superuser_can_do_it_twice_and_at_the_same_time(managed):
    dsn = managed.dsn(ADMIN, "postgres")

    with ThreadPoolExecutor(3) as pool:
        for run in [pool.submit(bootstrap_roles, dsn, database=DATABASE) for _ in range(3)]:
            run.result()
    before = described(managed)
    bootstrap_roles(dsn, database=DATABASE)

    assert described(managed) == before
    assert attributes(managed) == {OWNER: ONLY_LOGIN, TENANT: ONLY_LOGIN, OPERATOR: ONLY_LOGIN}
    with connect(managed, OWNER) as owner, owner.transaction():
        owner.execute("CREATE TABLE public.mine (id int)")
        owner.execute(f"SET LOCAL ROLE {OPERATOR}")
        owner.execute(f"CREATE FUNCTION {LOOKUP_SCHEMA}.one() RETURNS int LANGUAGE sql RETURN 1")
    with connect(managed, TENANT) as tenant, pytest.raises(InsufficientPrivilege):
        tenant.execute(f"SET ROLE {OPERATOR}")

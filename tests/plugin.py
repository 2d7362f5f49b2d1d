"""The pytest plugin (-p tests.plugin) that gives each test process a PostgreSQL database of its own, before Django.

One embedded cluster without fsync in .data/tests/, one migrated template kept until a migration changes, one clone of
it for each test process. Runs side by side in one checkout don't meet; the last one to end stops the server.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fatfire.kit.postgres import EmbeddedPostgres
from fatfire.kit.roles import bootstrap_roles
from fatfire.local import ROLES

BASE_DIR = Path(__file__).resolve().parent.parent
OF_A_PROCESS = {"test", "lambda"}
"""What the names of databases begin with that a test process makes for itself; its number follows."""
_postgres = EmbeddedPostgres(BASE_DIR / ".data" / "tests", durable=False)


def dsn(role: str, database: str) -> str:
    """Return the role's URL of a database of the tests' server."""
    return _postgres.dsn(role, database)


def _digest() -> str:
    """Return a fingerprint of everything that decides what the migrated template looks like."""
    sources = [
        *BASE_DIR.glob("*/migrations/*.py"),
        *BASE_DIR.glob("*/*/migrations/*.py"),
        *BASE_DIR.glob("tenants/*.py"),
    ]
    sources += [BASE_DIR / "fatfire" / "kit" / "roles.py", BASE_DIR / "fatfire" / "settings.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()[:12]


def _environment(database: str) -> dict[str, str]:
    return {variable: dsn(role, database) for variable, role in ROLES.items()}


def execute(statement: str, *names: str) -> None:
    """Run a statement about databases as the superuser, with these names in it."""
    with psycopg.connect(dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _databases() -> set[str]:
    with psycopg.connect(dsn("postgres", "postgres")) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def _make_template() -> str:
    """Return the name of the migrated template, made when the migrations have changed; older ones are dropped."""
    name = f"template_{_digest()}"
    existing = _databases()
    if name not in existing:
        for old in existing:
            if old.startswith("template_") and old != name:
                execute("DROP DATABASE {} WITH (FORCE)", old)
        draft = "draft_template"
        execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
        bootstrap_roles(dsn("postgres", "postgres"), database=draft)
        migrate = [sys.executable, str(BASE_DIR / "manage.py"), "migrate", "--verbosity=0"]
        subprocess.run(migrate, check=True, env={**os.environ, **_environment(draft)})
        execute("ALTER DATABASE {} RENAME TO {}", draft, name)
    return name


def _clone(template: str, name: str) -> None:
    execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    execute("CREATE DATABASE {} TEMPLATE {}", name, template)
    bootstrap_roles(dsn("postgres", "postgres"), database=name)


def _is_alive(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _drop_left_behind() -> None:
    """Drop the databases of test processes that were killed."""
    for name in _databases():
        kind, _, process_id = name.partition("_")
        if kind in OF_A_PROCESS and not _is_alive(process_id):
            execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


os.environ.setdefault("SECRET_KEY", "only-for-tests")
_postgres.start()
DATABASE = f"test_{os.getpid()}"
with (BASE_DIR / ".data" / "tests.lock").open("w") as _lock:
    fcntl.flock(_lock, fcntl.LOCK_EX)
    _drop_left_behind()
    _clone(_make_template(), DATABASE)
os.environ.update(_environment(DATABASE))
os.environ["MEDIA_FOLDER"] = str(BASE_DIR / ".data" / "tests" / "media")
_key = BASE_DIR / ".data" / "tests" / "master.key"
if not _key.exists():
    _key.write_text(hashlib.sha256(b"only for tests").hexdigest())
os.environ["MASTER_KEY_FILE"] = str(_key)
os.environ["SITE_URL"] = "http://testserver"
os.environ["API_REQUESTS_PER_MINUTE"] = "1000000"  # the fuzzer and the benchmarks are quick
os.environ["SECURE_COOKIES"] = "false"  # browsers meet the pages over plain HTTP on the loopback interface


def admin_dsn() -> str:
    """Return the superuser's URL of this process's database: for cleaning up and for looking behind the policies."""
    return dsn("postgres", DATABASE)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Drop the database, and use the server no longer."""
    execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)
    _postgres.stop()

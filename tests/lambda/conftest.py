"""Everything is deployed once, by the real command, for all tests of this folder: they run in one process."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from fatfire.kit.roles import bootstrap_roles
from fatfire.local import ROLES
from infra.local import account_here
from services.integration.sandbox import app as simulator
from services.integration.sandbox.server import serve
from tests import plugin
from tests.deployed import Deployed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what looks back on all the others come last."""
    items.sort(key=lambda item: item.path.name == "test_rights.py")


@pytest.fixture(scope="session")
def empty_database() -> Iterator[str]:
    """Yield the name of a database with nothing in it but its roles."""
    name = f"lambda_{os.getpid()}"
    bootstrap_roles(plugin.dsn("postgres", "postgres"), database=name)
    yield name
    plugin.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def deployed(empty_database) -> Iterator[Deployed]:
    """Deploy everything to an empty account and an empty database."""
    with tempfile.TemporaryDirectory() as name, serve(Path(name, "bank.sqlite3"), 0) as bank:
        folder = Path(name)
        secrets = {variable: plugin.dsn(role, empty_database) for variable, role in ROLES.items()}
        secrets |= {"SECRET_KEY": "s" * 64, "PLAID_SECRET": simulator.SECRET, "MAIL_URL": f"file:{folder / 'mail'}"}
        variables = {
            "PLAID_URL": bank.url,
            "PLAID_CLIENT_ID": simulator.CLIENT_ID,
            "JOBS_RESEND_AFTER_SECONDS": "2",
        }
        calls = folder / "calls.jsonl"
        with account_here(folder, secrets=secrets, settings=variables, calls=calls) as here:
            done = here.manage("deploy", "all")
            assert done.returncode == 0, done.stdout + done.stderr
            yield Deployed(here, done.stdout, calls, bank, folder / "mail")


@pytest.fixture
def database(deployed, empty_database, django_db_blocker) -> Iterator[None]:
    """Let the test use the database of what is deployed. What is committed stays until it is emptied."""
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = empty_database
    with django_db_blocker.unblock():
        yield
        for alias, before in names.items():
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = before

"""A laptop's surroundings: secrets made once and kept private, and a database only where one is needed."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fatfire import local

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py as a newcomer would: with nothing set but where the data goes."""
    clean = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), **environment}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60)


def test_kept_secret_is_made_once_by_threads(tmp_path):
    path, together, found = tmp_path / "new" / "secret.key", threading.Barrier(8), []

    def ask():
        together.wait(10)
        found.append(local._kept_secret(path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [path.read_text()] * 8
    assert len(bytes.fromhex(found[0])) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_kept_secret_is_made_once_by_processes(tmp_path):
    path = tmp_path / "secret.key"
    code = (
        f"from pathlib import Path; from fatfire.local import _kept_secret as k; input(); print(k(Path({str(path)!r})))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()

    assert [process.communicate(timeout=30)[0].strip() for process in processes] == [path.read_text()] * 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_kept_secret_stays(tmp_path):
    path = tmp_path / "secret.key"
    path.write_text("mine")

    assert local._kept_secret(path) == "mine"
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["help", "migrate"], ["migrate", "--help"], ["migrate", "-h"], ["--version"], ["check"], []],
)
def test_command_that_needs_no_database_starts_none(arguments, tmp_path):
    done = run(*arguments, data_dir=tmp_path / "data")

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data").exists()


def test_given_database_is_used_and_none_is_started(tmp_path):
    urls = {name: os.environ[name] for name in (*local.ROLES, "SECRET_KEY")}

    done = run("migrate", "--check", data_dir=tmp_path / "data", **urls)

    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "data").exists()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Give a folder that the server's account can reach; as root, pytest's own `tmp_path` is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="fatfire-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_block_gets_a_database_and_secrets_of_its_own(data_dir, monkeypatch):
    for name in (*local.ROLES, "SECRET_KEY", "MASTER_KEY_FILE"):
        monkeypatch.delenv(name)

    with local.use_local_services(["migrate"], data_dir):
        for name, role in local.ROLES.items():
            with psycopg.connect(os.environ[name]) as connection:
                found = connection.execute("SELECT current_user::text, current_database()::text").fetchone()
            assert found == (role, local.DATABASE)
        kept = os.environ["SECRET_KEY"]
        assert kept == (data_dir / "secret.key").read_text()
        assert os.environ["MASTER_KEY_FILE"] == str(data_dir / "master.key")
        assert len(bytes.fromhex((data_dir / "master.key").read_text())) == 32

    (data_dir / "master.key").unlink()
    for name in local.ROLES:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("MASTER_KEY_FILE", "given")
    with local.use_local_services(["migrate"], data_dir):
        assert (os.environ["SECRET_KEY"], os.environ["MASTER_KEY_FILE"]) == ("given", "given")
    assert (data_dir / "secret.key").read_text() == kept
    assert not (data_dir / "master.key").exists()


def test_deployment_can_judge_migrations_where_no_database_is_named(data_dir):
    program = """
import sys
from pathlib import Path
from fatfire.local import use_local_services
with use_local_services(["deploy", "all"], Path(sys.argv[1])):
    import django
    django.setup()
    from infra.migrations import refuse_dangerous
    refuse_dangerous("[X]  tenants.0001_initial\\n[ ]  jobs.0004_newest_of_subject\\n")
"""
    environment = {name: value for name, value in os.environ.items() if name not in (*local.ROLES, "SECRET_KEY")}
    environment["DJANGO_SETTINGS_MODULE"] = "fatfire.settings"

    done = subprocess.run(
        [sys.executable, "-c", program, str(data_dir)], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")

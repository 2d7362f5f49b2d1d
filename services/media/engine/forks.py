"""Child processes that are forks of a template, which has loaded the engine and sees nothing of any video."""

import atexit
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from services.media.engine import pipe

_ROOT = Path(__file__).resolve().parents[3]
_PASSED_ENVIRONMENT = ("LD_LIBRARY_PATH",)


class Template:
    """The process that the children are forks of: it has loaded the engine, and sees nothing of any video."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._names = itertools.count()
        self.owner = os.getpid()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.media.engine.child", str(theirs.fileno())],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @property
    def is_ours(self) -> bool:
        """Whether it lives, and was started by this process rather than by one that this is a fork of."""
        return self.owner == os.getpid() and self._process.poll() is None

    def fork(self, *files: IO[bytes] | socket.socket) -> "Fork":
        """Begin a piece of work that has the connection, the file for complaints, and perhaps one to write.

        Raises:
            OSError: the template has just died.
        """
        name = next(self._names)
        ended, told = os.pipe()
        try:
            self._send(name, [*(file.fileno() for file in files), told])
        except OSError:
            os.close(ended)
            raise
        finally:
            os.close(told)
        return Fork(self, name, ended)

    def kill(self, name: int) -> None:
        """End a piece of work, if it runs."""
        with contextlib.suppress(OSError):
            self._send(name, [])

    def stop(self) -> None:
        """End it, or let go of another process's."""
        self._control.close()
        if self.owner == os.getpid():
            self._process.kill()  # a process that we forked may hold the other end open
            self._process.wait()

    def _send(self, name: int, descriptors: list[int]) -> None:
        socket.send_fds(self._control, [str(name).rjust(pipe.ORDER_BYTES).encode()], descriptors)


class Fork:
    """A piece of work as we hold it."""

    def __init__(self, template: Template, name: int, ended: int) -> None:
        self._template, self._name, self._ended = template, name, os.fdopen(ended, "rb")

    def wait(self) -> int | None:
        """Return the exit code, a signal's number below zero; None if the template died before it could tell."""
        return int(self._ended.read() or 0) or None

    def end(self) -> None:
        """Kill it if it still runs, and wait until it is gone."""
        with self._ended:
            self._template.kill(self._name)
            self._ended.read()


_only_one = threading.Lock()
_templates: list[Template] = []


def template() -> Template:
    """Return this process's template, started when there is none."""
    with _only_one:
        if not (_templates and _templates[0].is_ours):
            _stop()
            _templates.append(Template())
        return _templates[0]


def fork(*files: IO[bytes] | socket.socket) -> Fork:
    """Begin a piece of work, by a new template if the one that was there has just died."""
    try:
        return template().fork(*files)
    except OSError:
        stop()
        return template().fork(*files)


@atexit.register
def stop() -> None:
    """End the template; the next piece of work starts another."""
    with _only_one:
        _stop()


def _stop() -> None:
    while _templates:
        _templates.pop().stop()


def environment() -> dict[str, str]:
    """Return what Python needs to find itself and us; none of our secrets."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ENVIRONMENT}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]), "LC_ALL": "C.UTF-8"}

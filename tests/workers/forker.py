"""A process that runs jobs in forks of itself, each of which may be killed by SIGKILL at a chosen point.

The points are before and after each commit, and before and after each outgoing call. Starting Django once and forking
for each run is what makes hundreds of kills affordable. Run as `python -m tests.workers.forker`: one JSON object on
each line of the input asks for one run, one on each line of the output answers.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

REPOSITORY = Path(__file__).parents[2]
NEVER = -1


class Forker:
    """The process, from the outside. `modules` are imported in it besides the workers' own."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "tests.workers.forker", *modules]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True)

    def run(
        self, *, job_id: UUID, tenant_id: UUID | None, at: str, settings: Mapping[str, Any], kill_at: int = NEVER
    ) -> list[str]:
        """Advance the job as far as it goes at the moment `at`; return the points passed, the last perhaps its end."""
        asked = {
            "job_id": str(job_id),
            "tenant_id": str(tenant_id) if tenant_id else None,
            "at": at,
            "settings": dict(settings),
            "kill_at": kill_at,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["signal"] == (signal.SIGKILL if kill_at != NEVER else 0), answer
        return answer["points"]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def running_forker(*modules: str) -> Iterator[Forker]:
    """Run the process for the length of the block."""
    forker = Forker(modules)
    try:
        yield forker
    finally:
        forker.close()


def _serve() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
    django.setup()
    for module in ("workers.tasks", *sys.argv[1:]):
        importlib.import_module(module)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run(json.loads(line), writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as points:
            passed = points.read().splitlines()
        _, status = os.waitpid(child, 0)
        killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        print(json.dumps({"points": passed, "signal": killed_by}), flush=True)  # noqa: T201  # the answer


def _run(asked: dict[str, Any], writing: int) -> None:
    """Advance the job in this process, writing each point's name before it is passed."""
    import datetime as dt

    from django.conf import settings
    from pydantic import SecretStr

    from workers.runner import advance

    for name, value in asked["settings"].items():
        setattr(settings, name, SecretStr(value) if isinstance(getattr(settings, name), SecretStr) else value)
    passed = 0

    def point(name: str) -> None:
        nonlocal passed
        os.write(writing, f"{name}\n".encode())
        if passed == asked["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    _surround_commits_and_calls(point)
    at = dt.datetime.fromisoformat(asked["at"])
    tenant_id = UUID(asked["tenant_id"]) if asked["tenant_id"] else None
    while advance(job_id=UUID(asked["job_id"]), tenant_id=tenant_id, now=lambda: at):
        pass


def _surround_commits_and_calls(point: Callable[[str], None]) -> None:
    """Have `point` called before and after each commit and each outgoing call of this process."""
    import smtplib

    import httpx
    from django.db.backends.base.base import BaseDatabaseWrapper

    def surrounded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            point(f"before {name}")
            returned = function(*args, **kwargs)
            point(f"after {name}")
            return returned

        return run

    BaseDatabaseWrapper._commit = surrounded(BaseDatabaseWrapper._commit, "commit")  # type: ignore[method-assign]
    smtplib.SMTP.sendmail = surrounded(smtplib.SMTP.sendmail, "call")  # type: ignore[method-assign]
    httpx.Client.send = surrounded(httpx.Client.send, "call")  # type: ignore[method-assign]


if __name__ == "__main__":
    _serve()

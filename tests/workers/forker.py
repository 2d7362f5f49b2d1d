"""A process that runs messages in forks of itself, each of which may be killed by SIGKILL at a chosen point.

The points are before and after each commit, and before and after each outgoing call: to banks, to mail servers, and to
AWS, of which there is one wherever a message is sent. Starting Django once and forking
for each run is what makes hundreds of kills affordable. Run as `python -m tests.workers.forker`: one JSON object on
each line of the input asks for one run, one on each line of the output answers.
"""

import contextlib
import gc
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
DONE = "done"
LOADED_ONCE = (
    "workers.lambda_handler",
    "workers.lambda_transport",
    "workers.sqs_transport",
    "services.media.engine.sandbox",
    "celery.events.receiver",
    "encodings.idna",
    "httpcore",
    "kombu.transport.memory",
)


class Forker:
    """The process, from the outside. `modules` are imported in it besides the workers' own."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "tests.workers.forker", *modules]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True)

    def run(
        self,
        *,
        transport: str,
        message: Mapping[str, Any],
        job_id: UUID,
        at: str,
        settings: Mapping[str, Any],
        kill_at: int = NEVER,
    ) -> tuple[list[str], bool]:
        """Run the message at the moment `at`; return the points passed, and whether it ended well.

        Killed at the point of that number, the points end there. Messages in memory can't leave the fork, so it runs
        what it sends itself, too.
        """
        asked = {
            "transport": transport,
            "message": message,
            "job_id": str(job_id),
            "at": at,
            "settings": dict(settings),
            "environment": {name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            "kill_at": kill_at,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        killed = kill_at != NEVER and len(answer["points"]) == kill_at + 1
        assert answer["signal"] == (signal.SIGKILL if killed else 0), answer
        return answer["points"], not killed and answer["done"]

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
    import boto3
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
    django.setup()
    from fatfire.celery import app

    # What every run needs is loaded here, once, and not in each fork: Celery's tasks, the models of AWS's services.
    for module in (*LOADED_ONCE, *sys.argv[1:]):
        importlib.import_module(module)
    app.finalize()
    for service in ("sqs", "lambda"):
        boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106
    gc.collect()
    gc.freeze()  # else each fork's first collection copies all the memory that it shares
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run(json.loads(line), writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            passed = lines.read().splitlines()
        _, status = os.waitpid(child, 0)
        killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        points, done = [each for each in passed if each != DONE], DONE in passed
        print(json.dumps({"points": points, "done": done, "signal": killed_by}), flush=True)  # noqa: T201  # the answer


def _run(asked: dict[str, Any], writing: int) -> None:
    """Run the message in this process, writing each point's name before it is passed."""
    import datetime as dt

    from django.conf import settings
    from pydantic import SecretStr

    from fatfire.kit import sqs
    from tests.workers.transports import present, run, take_from_memory

    os.environ.update(asked["environment"])
    sqs.queue_url.cache_clear()
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
    messages, job_id = [asked["message"]], UUID(asked["job_id"])
    with present(dt.datetime.fromisoformat(asked["at"])):
        while messages:
            endings = [run(asked["transport"], each) for each in messages]
            messages = take_from_memory(job_id) if asked["transport"] == "memory" else []
    if all(endings):
        os.write(writing, f"{DONE}\n".encode())


def _surround_commits_and_calls(point: Callable[[str], None]) -> None:
    """Have `point` called before and after each commit and each outgoing call of this process."""
    import smtplib

    import httpx
    from botocore.httpsession import URLLib3Session
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
    URLLib3Session.send = surrounded(URLLib3Session.send, "call")  # type: ignore[method-assign]
    httpx.Client.send = surrounded(httpx.Client.send, "call")  # type: ignore[method-assign]


if __name__ == "__main__":
    _serve()

"""Lambda's Invoke over HTTP: it keeps what it is asked to run, and runs nothing."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from fatfire.kit.serving import Server
from tests.workers.queues import aws_at


@dataclass
class Invocations:
    """What was asked for, in order: (function, how, event) of each; `refuse` answers with that status instead."""

    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    refuse: int = 0

    def __call__(self, environ, start_response):
        """Take one invocation."""
        function = unquote(environ["PATH_INFO"].split("/")[3])
        event = json.loads(environ["wsgi.input"].read())
        if self.refuse:
            start_response(f"{self.refuse} Refused", [("Content-Type", "application/json"), ("Content-Length", "2")])
            return [b"{}"]
        self.asked.append((function, environ["HTTP_X_AMZ_INVOCATION_TYPE"], event))
        start_response("202 Accepted", [("Content-Length", "0")])
        return [b""]

    def take(self) -> list[dict[str, Any]]:
        """Return the events that weren't taken yet."""
        taken, self.asked = self.asked, []
        return [event for _, _, event in taken]


@contextlib.contextmanager
def recording_lambda() -> Iterator[Invocations]:
    """Have this process's invocations kept for the length of the block."""
    invocations = Invocations()
    with Server(invocations, 0) as server, aws_at(server.url):
        yield invocations

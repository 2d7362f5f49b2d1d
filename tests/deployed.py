"""The system as it is deployed, on the emulator: how a test speaks to it and what it finds out."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from infra.local import AccountHere
from infra.logs import log_group
from infra.system import PAGES, Stage, function
from services.integration.sandbox.server import Simulator

PATIENCE_S = 30


@dataclass(frozen=True)
class Deployed:
    """An account on the emulator with everything deployed once."""

    here: AccountHere
    said: str
    """What `manage.py deploy all` said."""
    calls_file: Path
    bank: Simulator
    mail: Path

    def http(self, stage: Stage = "web") -> httpx.Client:
        """Return a browser at the stage's host, through the gateway."""
        assert stage in PAGES
        host = urlsplit(self.here.system.url(stage)).netloc
        return httpx.Client(base_url=self.here.endpoint, headers={"Host": host}, timeout=60)

    def client(self, service: str) -> Any:
        """Return a client of the emulator as the account's root."""
        return self.here.client(service)

    def invoke(self, stage: Stage, event: Any, *, qualifier: str = "live") -> tuple[Any, str | None]:
        """Return what a function answers, and the kind of its error."""
        payload = json.dumps(event).encode()
        answer = self.client("lambda").invoke(FunctionName=function(stage), Qualifier=qualifier, Payload=payload)
        return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError")

    def calls(self) -> list[dict[str, Any]]:
        """Return each call of AWS that was made so far by a role: by, action, on, denied."""
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def log(self, stage: Stage) -> str:
        """Return the function's log."""
        events = self.client("logs").filter_log_events(logGroupName=log_group(function(stage)))["events"]
        return "\n".join(event["message"] for event in events)


def names_unanswered(browser: httpx.Client, page: str) -> list[str]:
    """Return the static files that the page or one of its style sheets names, and that aren't answered."""
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert names
    sheets = [name for name in names if name.endswith(".css")]
    for sheet in sheets:
        names += [urljoin(sheet, name) for name in re.findall(r"""url\(["']?([^)"'#]+)""", browser.get(sheet).text)]
    return [name for name in names if name.startswith("/static/") and browser.get(name).status_code != 200]


def wait_for[T](ask: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
    """Return the first true answer; the last one when patience ends."""
    deadline = time.monotonic() + patience_s
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer

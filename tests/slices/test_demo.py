"""The demo as its user meets it: real processes, started and stopped and killed."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
DEADLINE_S = 60
ASSETS = 14
SEEN = ("Living room", "ready", True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture
def reachable_dir() -> Iterator[Path]:
    """Give a folder that the database server's account can reach; as root, pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="fatfire-demo-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def environment(data_dir: Path | None = None, **more: str) -> dict[str, str]:
    """Return a founder's environment: nothing of the tests' database."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "MASTER_KEY", "PLAID_"))
    }
    return {**kept, **({"DATA_DIR": str(data_dir)} if data_dir else {}), **more}


def run_once(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "demo", "--once", *arguments]
    return subprocess.run(
        command, cwd=BASE_DIR, env=environment(**more), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_once_goes_from_nothing_to_net_worth():
    done = run_once("--json", "--date", "2026-03-18")

    assert (done.returncode, done.stderr) == (0, "")
    tenants = json.loads(done.stdout)["tenants"]
    assert [(each["name"], each["portfolio"], each["currency"]) for each in tenants] == [
        ("Harper family", "Family wealth", "AUD"),
        ("Okafor household", "Family wealth", "USD"),
    ]
    for each in tenants:
        assets, debts, net_worth = (Decimal(each[name]) for name in ("assets", "debts", "net_worth"))
        assert debts <= 0 < assets
        assert assets + debts == net_worth
    assert [(each["accounts"], each["transactions"], each["history_days"]) for each in tenants] == [
        (14, 1510, 731),
        (5, 227, 731),
    ]
    assert [each["net_worth"] for each in tenants] == ["1106055.10", "488646.01"]


def test_once_says_when_the_bank_is_out_of_reach():
    done = run_once("--json", PLAID_URL=f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "CommandError: The bank can't be reached at the moment.\n"


_numbers = itertools.count(1)


class Demo:
    """A running `manage.py demo` and what it has said."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"demo-{next(_numbers)}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", "--port", str(port)],
                cwd=BASE_DIR,
                env=environment(data_dir),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address = f"http://127.0.0.1:{port}"

    def said(self) -> str:
        return self.log.read_text()

    def wait_until(self, words: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)

    def wait_until_settled(self) -> None:
        """Wait until the banks are linked and imported, every account is worth something, and the video can be seen."""
        deadline = time.monotonic() + DEADLINE_S
        while len(self.assets()) < ASSETS or self.open_jobs() or self.net_worth()["missing"] or self.videos() != [SEEN]:
            assert time.monotonic() < deadline, self.get("/jobs")
            time.sleep(0.05)

    def videos(self) -> list[tuple[str, str, bool]]:
        """Return title and state of each, and whether it is of something insured."""
        items = self.get("/videos")["items"]
        return [(each["title"], each["state"], bool(each["policy_id"] and each["asset_id"])) for each in items]

    def assets(self) -> list[dict]:
        return self.get("/assets?limit=500")["items"]

    def open_jobs(self) -> list[dict]:
        return [job for state in ("queued", "running") for job in self.get(f"/jobs?state={state}")["items"]]

    def get(self, path: str) -> dict:
        key = re.search(r"X-API-Key: (ff_\S+?)'", self.said())[1]
        return httpx.get(f"{self.address}/api/v1{path}", headers={"X-API-Key": key}).raise_for_status().json()

    def net_worth(self) -> dict:
        portfolio_id = self.get("/portfolios")["items"][0]["id"]
        return self.get(f"/portfolios/{portfolio_id}/net-worth")["end"]


@contextlib.contextmanager
def running_demo(data_dir: Path, port: int) -> Iterator[Demo]:
    demo = Demo(data_dir, port)
    try:
        demo.wait_until("Ctrl-C stops it")
        yield demo
    finally:
        demo.process.kill()
        demo.process.wait()


def processes_in(data_dir: Path) -> list[str]:
    """Return the command lines of all processes that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode()
            if str(data_dir) in line:
                found.append(line)
    return found


def wait_for_no_process(data_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while left := processes_in(data_dir):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def console_of(demo: Demo) -> str:
    """Return the console's list of households, signed in by the link that was printed."""
    path = re.search(r"Operators' console: http://[^/]+(/sign-in/\S+)", demo.said())[1]
    with httpx.Client(base_url=demo.address) as browser:
        browser.get(path).raise_for_status()
        answer = browser.post(path, data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        assert answer.headers["Location"] == "/admin/"
        return browser.get("/admin/tenants/tenant/").raise_for_status().text


def test_server_starts_stops_and_mends(reachable_dir):
    data_dir, port = reachable_dir / "data", free_port()

    killed = Demo(data_dir, port)
    killed.wait_until("Importing from the banks")
    killed.process.kill()
    killed.process.wait()
    wait_for_no_process(data_dir)

    with running_demo(data_dir, port) as demo:
        demo.wait_until_settled()
        first = demo.net_worth()
        assert first["missing"] == 0
        assert len(demo.assets()) == ASSETS
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(DEADLINE_S) == 0
    assert processes_in(data_dir) == []

    with running_demo(data_dir, port) as demo:
        assert demo.net_worth() == first
        assert demo.videos() == [SEEN]
        assert "Harper family" in console_of(demo)

        second = Demo(data_dir, free_port())
        assert second.process.wait(DEADLINE_S) == 1
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(DEADLINE_S) == 0
    assert f"A demo runs already (process {demo.process.pid})" in second.said()
    wait_for_no_process(data_dir)


def test_taken_port_is_said(reachable_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Demo(reachable_dir / "data", port)
        assert demo.process.wait(DEADLINE_S) == 1

    assert f"CommandError: Port {port} can't be used" in demo.said()
    assert "make demo PORT=" in demo.said()

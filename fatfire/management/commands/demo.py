"""`manage.py demo`: the whole product in one process, on sample data."""

import contextlib
import datetime as dt
import fcntl
import json
import logging
import os
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from pydantic import SecretStr

from fatfire import demo, demo_video
from fatfire.kit import clock
from fatfire.kit.errors import DomainError
from fatfire.kit.serving import LARGEST_REQUEST_BYTES, PortTaken, Server
from fatfire.kit.sockets import SocketServer
from services.integration.sandbox import app as simulator
from services.integration.sandbox.server import serve
from services.jobs import queries as jobs
from services.jobs.models import State
from tenants.isolation import operator
from tenants.models import Tenant

FIRST_IMPORT_S = 120


class Command(BaseCommand):
    """Run the product on sample data: web server, worker, scheduler and bank simulator in this process."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=8000, help="where the web server listens (default: 8000)")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="end when the process that started it is gone (for make)"
        )
        parser.add_argument(
            "--once", action="store_true", help="seed, link, import and roll up in a throw-away database; no server"
        )
        parser.add_argument("--json", action="store_true", help="with --once: print the result as JSON")
        parser.add_argument(
            "--date", type=dt.date.fromisoformat, help="with --once: the day it pretends to be (YYYY-MM-DD)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once, or until Ctrl-C or SIGTERM."""
        # Importing the tasks registers them; Celery's worker would do so too, in its own time.
        from workers import tasks  # noqa: F401

        logging.getLogger("workers").setLevel(logging.WARNING)  # what goes well is on the pages
        call_command("migrate", verbosity=0)
        if options["once"]:
            self._run_once(options["date"], as_json=options["json"])
        elif options["date"] or options["json"]:
            msg = "--date and --json go with --once"
            raise CommandError(msg)
        else:
            self._serve(options["port"], stop_with_parent=options["stop_with_parent"])

    def _run_once(self, day: dt.date | None, *, as_json: bool) -> None:
        """Do the main job from nothing to net worth, and print what came out."""
        from workers.runner import run_due

        # Noon in Greenwich is the same day everywhere between Honolulu and Sydney.
        at = dt.datetime.combine(day, dt.time(12), dt.UTC) if day else clock.now()
        with _bank(at):
            try:
                demo.load_rates(at=at)
                tenants = [demo.seed(household, at=at) for household in demo.HOUSEHOLDS]
            except DomainError as error:
                raise CommandError(error.detail) from error
            run_due(now=lambda: at)
        _require_success()
        try:
            results = [demo.summary(each, at=at) for each in tenants]
        except DomainError as error:
            raise CommandError(error.detail) from error
        if as_json:
            self.stdout.write(json.dumps({"tenants": results}))
            return
        for result in results:
            self.stdout.write(
                f"{result['name']}: {result['currency']} {result['net_worth']} "
                f"({result['assets']} and {result['debts']}), {result['accounts']} accounts, "
                f"{result['transactions']} transactions, {result['history_days']} days"
            )

    def _serve(self, port: int, *, stop_with_parent: bool) -> None:
        """Serve until told to stop."""
        from fatfire.wsgi import application
        from workers.embedded import worker_and_scheduler
        from workers.websocket import receive

        stop, parent = threading.Event(), os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        at = clock.now()
        try:
            largest = settings.MEDIA_MAX_BYTES + LARGEST_REQUEST_BYTES  # here files come through us
            with (
                _only_one(_data_dir()),
                Server(application, port, largest_request_bytes=largest) as web,
                SocketServer(receive) as sockets,
                _bank(None),
                worker_and_scheduler(),
            ):
                settings.SITE_URL = settings.CONSOLE_URL = web.url
                _let_pages_listen(sockets)
                first_start = demo.is_unseeded()
                tenants = [demo.seed(household, at=at) for household in demo.HOUSEHOLDS]
                if first_start:
                    self._wait_for_open_jobs(stop)
                self._say_where(web.url, tenants, at)
                demo_video.send(tenants[0], now=clock.now)  # drawing it takes a moment
                while not stop.wait(0.5) and not (stop_with_parent and os.getppid() != parent):
                    pass
                self.stdout.write("Stopping.")
        except PortTaken as error:
            msg = f"{error} Choose another: make demo PORT={port + 1}"
            raise CommandError(msg) from error
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _wait_for_open_jobs(self, stop: threading.Event) -> None:
        """Wait until the open jobs are done, so that what is printed next can be used at once."""
        deadline = time.monotonic() + FIRST_IMPORT_S
        said = False
        while not stop.is_set() and time.monotonic() < deadline and _is_busy():
            if not said:
                self.stdout.write("Importing from the banks …")
                said = True
            stop.wait(0.2)

    def _say_where(self, address: str, tenants: list[Tenant], at: dt.datetime) -> None:
        self.stdout.write(f"fatfire runs at {address}")
        self.stdout.write(
            f"  Sign in at {address}/sign-in (the mail with the link is printed here), or by a link that works once:"
        )
        for each in tenants:
            self.stdout.write(f"  {each.name}: {address}{demo.make_sign_in_path(each, at=clock.now())}")
        self.stdout.write(f"  Operators' console: {address}{demo.make_operator_path(at=clock.now())}")
        self.stdout.write(f"  API documentation: {address}/api/v1/docs")
        for each in tenants:
            key = demo.make_key(each, at=at)
            self.stdout.write(f"  {each.name}: curl -H 'X-API-Key: {key}' {address}/api/v1/portfolios")
        self.stdout.write("Ctrl-C stops it; the data stays in .data/ (make clean-demo forgets it).")
        self.stdout.flush()


def _let_pages_listen(sockets: SocketServer) -> None:
    settings.WEBSOCKET_URL, settings.WEBSOCKET_ENDPOINT = sockets.url, sockets.endpoint
    settings.SECURE_CSP = {**settings.SECURE_CSP, "connect-src": [*settings.SECURE_CSP["connect-src"], sockets.url]}
    # The stand-in asks for no signature, but boto3 sends nothing without one.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        os.environ.setdefault(name, "laptop")


def _is_busy() -> bool:
    with operator():  # the platform's jobs too: without rates some accounts are worth nothing yet
        return jobs.open_job_count() > 0


@contextlib.contextmanager
def _bank(at: dt.datetime | None) -> Iterator[None]:
    """Use the bank in PLAID_URL, else a simulator in this process, whose present is `at` (None: the real one)."""
    if settings.PLAID_URL:
        yield
        return
    path = _data_dir() / "bank-simulator.sqlite3"
    today = {"today": lambda: clock.local_date(at, "Australia/Sydney")} if at else {}
    with serve(path, 0, **today) as bank:
        settings.PLAID_URL = bank.url
        settings.PLAID_CLIENT_ID = simulator.CLIENT_ID
        settings.PLAID_SECRET = SecretStr(simulator.SECRET)
        yield


def _require_success() -> None:
    with operator():
        failed = jobs.list_jobs(state=State.FAILED).first()
    if failed:
        msg = f"The job {failed.kind} failed: {failed.error_detail}"
        raise CommandError(msg)


def _data_dir() -> Path:
    return Path(settings.MASTER_KEY_FILE).parent


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data for this process: a second demo would take the first one's worker for dead."""
    with (data_dir / "demo.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"A demo runs already (process {(data_dir / 'demo.lock').read_text()}); stop it first."
            raise CommandError(msg) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

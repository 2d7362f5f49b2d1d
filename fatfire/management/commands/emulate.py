"""`manage.py emulate`: the whole system on this machine, deployed to an emulator of AWS, on the demo's data."""

import contextlib
import json
import os
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from pydantic import SecretStr

from fatfire import demo
from fatfire.kit import clock
from fatfire.kit.errors import DomainError
from fatfire.kit.serving import PortTaken
from fatfire.local import ROLES
from services.integration.sandbox import app as simulator
from services.integration.sandbox.server import serve
from services.jobs import queries as jobs
from services.jobs.jobs import Queue
from tenants.isolation import operator


class Command(BaseCommand):
    """Deploy everything to an account on the emulator and serve it there until Ctrl-C; the account goes with it."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=4566, help="where the emulator listens (default: 4566)")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="end when the process that started it is gone (for make)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM."""
        from infra.emulator import EmulatorDidNotStart
        from infra.local import account_here
        from infra.system import PROJECT

        stop, parent = threading.Event(), os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        folder = Path(settings.MASTER_KEY_FILE).parent
        secrets = {name: value for name, value in os.environ.items() if name in ROLES}
        secrets |= {"SECRET_KEY": settings.SECRET_KEY, "PLAID_SECRET": simulator.SECRET}
        secrets["MAIL_URL"] = f"file:{folder / 'mail'}"
        try:
            with contextlib.ExitStack() as running:
                bank = running.enter_context(serve(folder / "bank-simulator.sqlite3", 0))
                hosts = [f"http://{PROJECT}.localhost", f"http://console.{PROJECT}.localhost"]
                variables = {
                    "CSRF_TRUSTED_ORIGINS": json.dumps([f"{host}:{options['port']}" for host in hosts]),
                    "MASTER_KEY_FILE": str(settings.MASTER_KEY_FILE),
                    "PLAID_URL": bank.url,
                    "PLAID_CLIENT_ID": simulator.CLIENT_ID,
                    "SECURE_COOKIES": "false",  # the emulator speaks plain HTTP, on the loopback interface
                }
                here = running.enter_context(
                    account_here(folder, secrets=secrets, settings=variables, port=options["port"])
                )
                self._say("Deploying to the emulator …")
                done = here.manage("deploy", "all")
                if done.returncode:
                    raise CommandError(done.stdout + done.stderr)
                self._say(done.stdout.rstrip())
                settings.PLAID_URL, settings.PLAID_CLIENT_ID = bank.url, simulator.CLIENT_ID
                settings.PLAID_SECRET = SecretStr(simulator.SECRET)
                settings.ENVIRONMENT, settings.QUEUE_BROKERS = here.system.environment, dict.fromkeys(Queue, "sqs://")
                os.environ.update(here.root_variables)
                self._seed(stop)
                self._say_where(here)
                while not stop.wait(0.5) and not (options["stop_with_parent"] and os.getppid() != parent):
                    pass
                self._say("Stopping.")
        except (DomainError, EmulatorDidNotStart, PortTaken) as error:
            raise CommandError(str(error)) from error

    def _seed(self, stop: threading.Event) -> None:
        """Make the households, and wait until the functions have read their banks."""
        for household in demo.HOUSEHOLDS:
            demo.seed(household, at=clock.now())
        self._say("Importing from the banks …")
        while not stop.wait(0.5):
            with operator():
                if not jobs.open_job_count():
                    return

    def _say_where(self, here: Any) -> None:
        port = here.endpoint.rpartition(":")[2]
        pages, console = (f"http://{here.system.host(stage)}:{port}" for stage in ("web", "console"))
        self._say(f"fatfire runs on the emulator at {pages} and its console at {console}")
        self._say("  (browsers take *.localhost for this machine; other programs need the Host header)")
        for household in demo.HOUSEHOLDS:
            owner = demo.seed(household, at=clock.now())
            self._say(f"  {owner.name}: {pages}{demo.make_sign_in_path(owner, at=clock.now())}")
            key = demo.make_key(owner, at=clock.now())
            curl = f"curl -H 'Host: {here.system.host('web')}' -H 'X-API-Key: {key}'"
            self._say(f"  {owner.name}: {curl} {here.endpoint}/api/v1/portfolios")
        self._say(f"  Operators' console: {console}{demo.make_operator_path(at=clock.now())}")
        self._say(f"  AWS: AWS_ENDPOINT_URL={here.endpoint} with the keys test and test")
        self._say("Ctrl-C stops it and forgets all of it.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

"""`manage.py emulate`: the whole system on this machine, deployed to an emulator of AWS, on the demo's data."""

import contextlib
import os
import signal
import threading
from argparse import ArgumentParser
from email import message_from_bytes, policy
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
                variables = {
                    "MASTER_KEY_FILE": str(settings.MASTER_KEY_FILE),
                    "PLAID_URL": bank.url,
                    "PLAID_CLIENT_ID": simulator.CLIENT_ID,
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
                mails = 0
                while not stop.wait(0.5) and not (options["stop_with_parent"] and os.getppid() != parent):
                    mails = self._say_mails(folder / "mail", mails)
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
        pages, console = here.system.site_url, here.system.console_url
        self._say(f"fatfire runs on the emulator at {pages} and its console at {console}")
        self._say("  (browsers take *.localhost for this machine; other programs need the Host header)")
        self._say("  Sign in there (the mail with the link is printed here), or by a link that works once:")
        for household in demo.HOUSEHOLDS:
            owner = demo.seed(household, at=clock.now())
            self._say(f"  {owner.name}: {pages}{demo.make_sign_in_path(owner, at=clock.now())}")
            key = demo.make_key(owner, at=clock.now())
            curl = f"curl -H 'Host: {here.system.host('web')}' -H 'X-API-Key: {key}'"
            self._say(f"  {owner.name}: {curl} {here.endpoint}/api/v1/portfolios")
        self._say(f"  Operators' console: {console}{demo.make_operator_path(at=clock.now())}")
        self._say(f"  AWS: AWS_ENDPOINT_URL={here.endpoint} with the keys test and test")
        self._say("Ctrl-C stops it and forgets all of it.")

    def _say_mails(self, folder: Path, count: int) -> int:
        """Print the mails that functions wrote into the folder after the first `count`; return how many there are."""
        while (path := folder / f"{count + 1}.eml").exists() and (content := path.read_bytes()):
            mail = message_from_bytes(content, policy=policy.default)
            body = mail.get_body(("plain",))
            self._say(f"Mail to {mail['To']}: {mail['Subject']}\n{body.get_content() if body else ''}")
            count += 1
        return count

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

"""`manage.py deploy`: bring an environment on AWS to what its file and this code say."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Deploy a stage, or all; a second run changes nothing."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        from infra.deployment import WHATS

        parser.add_argument("what", choices=WHATS, help="a stage, all of them, or the keys and roles (foundation)")
        parser.add_argument(
            "--environment", default="production", help="one of infra/environments, or a .toml (default: production)"
        )
        parser.add_argument("--plan", action="store_true", help="say what would be changed, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Deploy, or tell what would be done."""
        from infra import deployment
        from infra.aws import Account
        from infra.functions import Unhealthy
        from infra.system import InvalidDescription, System
        from infra.triggers import NotAsAsked
        from infra.zappa import ZappaFailed

        plan = options["plan"]
        try:
            system = System.load(options["environment"])
            account = Account(system.region)
            count = deployment.deploy(account, system, options["what"], plan=plan, say=self._say)
        except (
            InvalidDescription,
            deployment.WrongAccount,
            deployment.FoundationDiffers,
            NotAsAsked,
            Unhealthy,
            ZappaFailed,
        ) as error:
            raise CommandError(str(error)) from error
        what = "to make" if plan else "made"
        self._say(f"{count} changes {what}." if count else "Nothing to change.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

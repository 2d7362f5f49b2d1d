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

        plan = options["plan"]
        try:
            count = deployment.deploy(options["environment"], options["what"], plan=plan, say=self._say)
        except deployment.REFUSALS as error:
            raise CommandError(str(error)) from error
        changes = "1 change" if count == 1 else f"{count} changes"
        self._say(f"{changes} {'to make' if plan else 'made'}." if count else "Nothing to change.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

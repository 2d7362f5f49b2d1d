"""`manage.py rollback`: let the version of a stage serve that served before."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Go back by one version, code and configuration together. Migrations stay: the versions share the tables."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        from infra.system import STAGES

        parser.add_argument("stage", choices=[stage for stage in STAGES if stage != "migrate"])
        parser.add_argument(
            "--environment", default="production", help="one of infra/environments, or a .toml (default: production)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Go back."""
        from infra import deployment

        try:
            deployment.rollback(options["environment"], options["stage"], say=self.stdout.write)
        except deployment.REFUSALS as error:
            raise CommandError(str(error)) from error

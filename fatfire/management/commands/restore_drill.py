"""`manage.py restore_drill`: prove that the backups are worth something, by restoring one."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tenants.isolation import OPERATOR_ALIAS


class Command(BaseCommand):
    """Restore this moment of an RDS instance beside it, compare, and delete the copy. Takes about half an hour."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("instance", help="the RDS instance whose database DATABASE_OPERATOR_URL reaches")
        parser.add_argument(
            "--environment", default="production", help="one of infra/environments, or a .toml (default: production)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Drill."""
        from infra.aws import Account, BotoCoreError, ClientError
        from infra.drill import DrillFailed, drill, on_rds
        from infra.system import InvalidDescription, System

        if OPERATOR_ALIAS not in settings.DATABASES:
            msg = "DATABASE_OPERATOR_URL must reach the instance's database"
            raise CommandError(msg)
        url = settings.ENV.database_operator_url.get_secret_value()
        try:
            rds = Account.at_hand(System.load(options["environment"]).region).client("rds")
            drill(url, on_rds(rds, options["instance"], url), say=self._say)
        except (BotoCoreError, ClientError, InvalidDescription, DrillFailed) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

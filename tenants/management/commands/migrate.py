"""`manage.py migrate`: Django's, as the owner, and then the privileges."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction

from tenants import privileges
from tenants.isolation import OWNER_ALIAS


class Command(migrate.Command):
    """Migrate as the owner role, then grant each role what it may do."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Let --database default to the owner, the only role that may change tables."""
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then grant."""
        super().handle(*args, **options)
        with transaction.atomic(using=OWNER_ALIAS):
            privileges.converge(connections[OWNER_ALIAS])

"""`manage.py migrate`: Django's, as the owner, and then the privileges."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections, transaction

from tenants import privileges
from tenants.isolation import OWNER_ALIAS


class Command(migrate.Command):
    """Migrate as the owner role, then grant each role what it may do."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Let --database default to the owner, the only role that may change tables."""
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then grant; where nothing is to be changed (--plan, --check), neither."""
        super().handle(*args, **options)
        if options["plan"] or options["check_unapplied"]:
            return
        with transaction.atomic(using=OWNER_ALIAS):
            privileges.converge(connections[OWNER_ALIAS])

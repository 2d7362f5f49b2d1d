"""`manage.py bootstrap_roles`: the three roles and the database, on a PostgreSQL of one's own."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg import OperationalError

from fatfire.kit.roles import OPERATOR, OWNER, TENANT, bootstrap_roles
from tenants.isolation import OPERATOR_ALIAS, OWNER_ALIAS

_ROLES = {"default": TENANT, OPERATOR_ALIAS: OPERATOR, OWNER_ALIAS: OWNER}


class Command(BaseCommand):
    """Create or mend the roles and the database, with the passwords that the three URLs have. Repeatable."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Reach the server as the administrator of DATABASE_ADMIN_URL."""
        admin_url = settings.DATABASE_ADMIN_URL.get_secret_value()
        if not admin_url:
            msg = "DATABASE_ADMIN_URL is not set: the URL of a role that may create roles and databases."
            raise CommandError(msg)
        for alias, role in _ROLES.items():
            if settings.DATABASES.get(alias, {}).get("USER") != role:
                msg = f"The URL of {alias!r} must name the role {role}."
                raise CommandError(msg)
        names = {database["NAME"] for database in settings.DATABASES.values()}
        if len(names) != 1:
            msg = f"The three URLs name different databases: {', '.join(sorted(names))}."
            raise CommandError(msg)
        passwords = {role: settings.DATABASES[alias]["PASSWORD"] for alias, role in _ROLES.items()}
        try:
            bootstrap_roles(
                admin_url, database=names.pop(), passwords={role: word for role, word in passwords.items() if word}
            )
        except OperationalError as error:
            msg = "The server in DATABASE_ADMIN_URL can't be reached."
            raise CommandError(msg) from error
        self.stdout.write("The roles and the database are as they should be; next: manage.py migrate.")

"""`manage.py runserver`: Django's, for which the secrets must be there."""

from typing import Any

from django.contrib.staticfiles.management.commands import runserver

from tenants.checks import require_secrets


class Command(runserver.Command):
    """Django's development server."""

    def check(self, *args: Any, **options: Any) -> None:
        """Check what Django checks, and the secrets."""
        super().check(*args, **options)
        require_secrets()

    def check_migrations(self) -> None:
        """Leave it out: Django reads the record of migrations as app_tenant, who may not."""

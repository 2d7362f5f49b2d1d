"""The app: installs the guard on every connection as tenants and registers the checks."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.backends.signals import connection_created


class TenantsConfig(AppConfig):
    """Tenancy."""

    name = "tenants"

    def ready(self) -> None:
        """Guard each new connection, and check the models and roles with Django's checks."""
        from tenants import checks, isolation

        connection_created.connect(isolation.guard_connection, dispatch_uid="tenants.isolation")
        register(checks.check_models)
        register(checks.check_roles)
        register(checks.check_secrets, Tags.security, deploy=True)

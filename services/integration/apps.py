"""The app."""

from django.apps import AppConfig


class IntegrationConfig(AppConfig):
    """Banks: links to them, the import of accounts and transactions, and a bank simulator."""

    name = "services.integration"

"""The app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """How people and programs get in: tenants, members, API keys."""

    name = "services.accounts"

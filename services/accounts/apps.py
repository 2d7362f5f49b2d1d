"""The app."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class AccountsConfig(AppConfig):
    """How people and programs get in: tenants, members, API keys."""

    name = "services.accounts"

    def ready(self) -> None:
        """Check with --deploy that links in mails can lead somewhere."""
        from services.accounts.checks import check_site_url

        register(check_site_url, Tags.security, deploy=True)

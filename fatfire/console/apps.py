"""The console as an app (templates and static files), and Django's admin with the console as its site."""

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import SimpleAdminConfig

from tenants.isolation import OPERATOR_ALIAS


class ConsoleConfig(AppConfig):
    """The console's templates and static files; it stands before Unfold, whose templates it replaces."""

    default = True
    name = "fatfire.console"


class SiteConfig(SimpleAdminConfig):
    """Django's admin, whose one site is the console."""

    default_site = "fatfire.console.site.ConsoleSite"

    def ready(self) -> None:
        """Register what the services show, in a process that may show it; elsewhere there is no console to pay for."""
        super().ready()
        if OPERATOR_ALIAS in settings.DATABASES:
            from django.contrib.admin import autodiscover, site
            from django.contrib.auth.models import Group

            autodiscover()
            site.unregister(Group)  # Django's auth shows them; nobody is in one

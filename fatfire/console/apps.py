"""The console as an app (templates and static files), and Django's admin with the console as its site."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class ConsoleConfig(AppConfig):
    """The console's templates and static files; it stands before Unfold, whose templates it replaces."""

    default = True
    name = "fatfire.console"


class SiteConfig(SimpleAdminConfig):
    """Django's admin, whose one site is the console."""

    default_site = "fatfire.console.site.ConsoleSite"

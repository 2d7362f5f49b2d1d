"""The site as an app: it owns the commands that run the whole product."""

from django.apps import AppConfig


class FatfireConfig(AppConfig):
    """The site."""

    name = "fatfire"

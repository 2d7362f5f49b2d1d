"""The app."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """What a person has: portfolios, assets, their values and transactions."""

    name = "services.core"

"""The app."""

from django.apps import AppConfig


class TaxConfig(AppConfig):
    """Tax years."""

    name = "services.tax"

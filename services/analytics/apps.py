"""The app."""

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    """What the history means: totals, change between two dates, series."""

    name = "services.analytics"

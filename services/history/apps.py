"""The app."""

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    """What everything was worth on each day: the rollup of values into daily rows, and its bookkeeping."""

    name = "services.history"

"""The app."""

from django.apps import AppConfig
from django.core import checks


class JobsConfig(AppConfig):
    """What runs in the background: the rows that are the only record of it, and the operations that move them."""

    name = "services.jobs"

    def ready(self) -> None:
        """Register the checks of brokers."""
        from services.jobs.checks import check_brokers  # the settings are read by now

        checks.register(check_brokers)

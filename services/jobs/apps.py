"""The app."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """What runs in the background: the rows that are the only record of it, and the operations that move them."""

    name = "services.jobs"

"""The app."""

from django.apps import AppConfig


class CleanupConfig(AppConfig):
    """Deleting what is no longer needed."""

    name = "services.cleanup"

"""The app."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    """What the platform tells people: mail."""

    name = "services.messaging"

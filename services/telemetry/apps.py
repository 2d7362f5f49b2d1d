"""The app."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    """What ran: one row for each request and each job, with its duration and how it ended."""

    name = "services.telemetry"

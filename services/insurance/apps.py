"""The app."""

from django.apps import AppConfig


class InsuranceConfig(AppConfig):
    """Insurance policies."""

    name = "services.insurance"

"""The app."""

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    """Foreign exchange: the rates of the European Central Bank, and conversion by them."""

    name = "services.exchange"

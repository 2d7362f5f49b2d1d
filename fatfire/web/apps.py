"""The app: templates, template tags and static files of the pages."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """The pages."""

    name = "fatfire.web"

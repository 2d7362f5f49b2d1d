"""Django system checks."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_site_url(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error when no sign-in link could be sent. With --deploy only."""
    if settings.SITE_URL:
        return []
    return [Error("SITE_URL is empty: no sign-in link can be sent.", hint="See docs/settings.md.", id="accounts.E001")]

"""The frame of the settings: the page's frame, and a tab for each topic."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse

from fatfire.web.shell import Shell, may_administer, shell_of
from fatfire.web.shell import show as show_page


@dataclass(frozen=True, slots=True)
class Tab:
    """A topic; some are for those only who run the household."""

    name: str
    label: str
    for_admins: bool = False


TABS = (
    Tab("settings-profile", "You"),
    Tab("settings-household", "Household"),
    Tab("settings-security", "Browsers"),
    Tab("settings-keys", "API keys", for_admins=True),
    Tab("settings-activity", "Activity", for_admins=True),
)


def settings_shell(request: HttpRequest) -> Shell:
    """Return the frame around the settings, in the open scope."""
    return shell_of(request, "settings")


def show(request: HttpRequest, template: str, active: str, *, shell: Shell, **context: Any) -> HttpResponse:
    """Return the page of a topic; `active` names its tab."""
    is_admin = may_administer(request)
    tabs = [tab for tab in TABS if is_admin or not tab.for_admins]
    return show_page(request, template, shell, tabs=tabs, active_tab=active, is_admin=is_admin, **context)

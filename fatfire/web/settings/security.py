"""The page about the browsers that the person is signed in with."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from fatfire.web.access import page, session_id_of
from fatfire.web.flash import see_other
from fatfire.web.settings.tabs import settings_shell
from fatfire.web.settings.tabs import show as show_settings
from services.accounts import sign_in
from tenants.permissions import Role, requires

_TAB = "settings-security"


class ThisBrowser(DomainError):
    """This is the browser that you are using: sign out of it at the top of the page."""

    code = "this_browser"


@require_safe
@page
def show(request: HttpRequest) -> HttpResponse:
    """List the browsers, newest first, and which of them this is."""
    shell = settings_shell(request)
    browsers = sign_in.list_browsers(user_id=shell.person.id, at=now())
    mine = session_id_of(request)
    return show_settings(
        request,
        "web/settings/security.html",
        _TAB,
        shell=shell,
        browsers=browsers,
        session_id=mine,
        is_complete=any(each.session_id == mine for each in browsers),
    )


@require_POST
@page
@requires(Role.VIEWER)
def sign_out_browser(request: HttpRequest, browser_id: UUID) -> HttpResponse:
    """End the session of another browser of the person.

    Raises:
        ThisBrowser: it is the one that asks.
    """
    user_id, at = settings_shell(request).person.id, now()
    browsers = {each.id: each for each in sign_in.list_browsers(user_id=user_id, at=at)}
    if browser_id in browsers and browsers[browser_id].session_id == session_id_of(request):
        raise ThisBrowser
    sign_in.sign_out_browser(user_id=user_id, browser_id=browser_id, at=at)
    return see_other(request, reverse(_TAB), saying="That browser is signed out")

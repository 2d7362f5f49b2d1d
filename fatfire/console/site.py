"""The site of the console: who may enter, in which transaction a page runs, under which policy it is shown."""

import datetime as dt
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_protect
from unfold.sites import UnfoldAdminSite

from fatfire.console import dashboard, dead_letters
from fatfire.kit.clock import now
from fatfire.web import sign_in
from fatfire.web.access import person_of, signed_in_at, to_sign_in
from services.accounts.sign_in import Person
from tenants.isolation import OPERATOR_ALIAS, acting_as, opens_own_transaction, operator
from tenants.models import User

SIGNED_IN_FOR = dt.timedelta(hours=12)
"""So long after signing in a session opens the console; its person's own pages stay open longer."""

POLICY = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],  # Unfold is written for Alpine, which evaluates its attributes
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],  # and sets colours and widths in them
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
"""The console's content security policy: the pages' own but for what its theme can't do without."""

_NOT_OURS = {"login", "logout", "password_change", "password_change_done", "view_on_site"}
"""Views of Django's admin that don't exist here: people sign in by a link, and no row has a page outside."""


class ConsoleSite(UnfoldAdminSite):
    """The console."""

    index_title = "Dashboard"

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether an operator asks; `admin_view` has let no one else in."""
        return isinstance(request.user, User) and request.user.is_operator

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page of the console shows."""
        return {**super().each_context(request), "user": request.user}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the figures."""
        response: HttpResponse = super().index(request, {**(extra_context or {}), **dashboard.figures(at=now())})
        return response

    def rates(self, request: HttpRequest) -> HttpResponse:
        """Show the newest exchange rates, which have no page of Django's: a rate's key is of two columns."""
        context = {**self.each_context(request), "title": "Exchange rates", **dashboard.rates(at=now())}
        return TemplateResponse(request, "console/rates.html", context)

    @opens_own_transaction
    def dead_letters(self, request: HttpRequest) -> HttpResponse:
        """Show the messages that no worker could run."""
        return dead_letters.show(self, request)

    @opens_own_transaction
    def settle_dead_letter(self, request: HttpRequest, queue: str, letter_id: str, action: str) -> HttpResponse:
        """Send one again or delete it, after asking."""
        return dead_letters.settle(self, request, queue=queue, letter_id=letter_id, action=action)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Return Django's and Unfold's URLs without those of passwords, and our own way out."""
        theirs = [each for each in super().get_urls() if getattr(each, "name", None) not in _NOT_OURS]
        ours = [
            path("logout/", self.logout, name="logout"),
            path("rates/", self.admin_view(self.rates), name="rates"),
            path("dead-letters/", self.admin_view(self.dead_letters), name="dead_letters"),
            path(
                "dead-letters/<str:queue>/<str:letter_id>/<str:action>/",
                self.admin_view(self.settle_dead_letter),
                name="settle_dead_letter",
            ),
        ]
        return [*ours, *theirs]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., HttpResponse]:
        """Make `view` a page of the console: for operators, across tenants, in one transaction, never cached.

        A refusal (status 400 and up) or an exception rolls back. The page is rendered inside, where rows can be read.
        A view that `opens_own_transaction`, since it asks an outside service, runs outside of one and renders itself.
        """
        opens_own = getattr(view, "opens_own_transaction", False)

        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            admitted = _admit(request)
            if isinstance(admitted, HttpResponse):
                return admitted
            with acting_as(admitted.id):
                with operator():
                    request.user = User.objects.get(id=admitted.id)
                    response = None if opens_own else _rendered(view(request, *args, **kwargs))
                response = response or view(request, *args, **kwargs)
            response["Cache-Control"] = "no-store"
            response["X-Frame-Options"] = "DENY"  # Django's admin would let itself frame its pages
            return response

        return update_wrapper(csp_override(POLICY)(csrf_protect(run)), view)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """End the session."""
        admitted = _admit(request)
        return admitted if isinstance(admitted, HttpResponse) else sign_in.sign_out(request)


def _rendered(response: HttpResponse) -> HttpResponse:
    """Return the response rendered; a refusal undoes what the open transaction did."""
    if isinstance(response, TemplateResponse):
        response = response.render()
    if response.status_code >= 400:
        transaction.set_rollback(True, using=OPERATOR_ALIAS)
    return response


def _admit(request: HttpRequest) -> Person | HttpResponse:
    """Return the operator who asks, or the way to sign in (again, where that was too long ago).

    Raises:
        Http404: someone else asks, to whom there is no console.
    """
    person = person_of(request)
    if person is None:
        return to_sign_in(request)
    if not person.is_operator:
        raise Http404
    if now() - signed_in_at(request) > SIGNED_IN_FOR:
        request.session.flush()  # else the page of signing in would lead straight back here
        return to_sign_in(request)
    return person

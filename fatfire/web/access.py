"""Who may see a page: from the session to the person, their household, and one transaction of it."""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError, PermissionDenied
from fatfire.web.browsers import browser_of
from fatfire.web.errors import error_page
from fatfire.web.formats import in_locale
from fatfire.web.sessions import kept_key
from services.accounts import sign_in
from services.accounts.queries import Principal
from services.accounts.sign_in import CONSOLE, Person, SignedIn
from tenants.isolation import OPERATOR_ALIAS, acting_as, tenant
from tenants.permissions import required_role

_USER, _TENANT, _HASH, _SIGNED_IN = "user_id", "tenant_id", "session_hash", "signed_in"
_NOWHERE = str(UUID(int=0))


def begin_session(
    request: HttpRequest, *, user_id: UUID, tenant_id: UUID | None, session_hash: str, at: dt.datetime
) -> None:
    """Make the browser's session the person's in the tenant, under a new key and with nothing from before.

    `at` is when the person signed in. Without a tenant there are no pages but the operators' console. Opens blocks of
    its own.
    """
    request.session.flush()
    request.session[_USER], request.session[_HASH] = str(user_id), session_hash
    request.session[_SIGNED_IN] = at.timestamp()
    if tenant_id is not None:
        request.session[_TENANT] = str(tenant_id)
    request.session.save()
    browser = browser_of(request.headers.get("User-Agent", ""))
    sign_in.note_browser(user_id=user_id, session_id=session_id_of(request), browser=browser, at=now())


def session_id_of(request: HttpRequest) -> str:
    """Return what the database knows the browser's session by."""
    return kept_key(request.session.session_key)


def enter(request: HttpRequest, *, tenant_id: UUID) -> None:
    """Move the session to another tenant of the same person; what it knew of the first is forgotten."""
    user_id, session_hash = UUID(request.session[_USER]), request.session[_HASH]
    begin_session(request, user_id=user_id, tenant_id=tenant_id, session_hash=session_hash, at=signed_in_at(request))


def signed_in_at(request: HttpRequest) -> dt.datetime:
    """Return when the session's person signed in (aware); for a session from before this was kept, long ago."""
    return dt.datetime.fromtimestamp(request.session.get(_SIGNED_IN, 0), dt.UTC)


def has_console(person: Person | SignedIn) -> bool:
    """Return whether the person may go to the operators' console, and this process has one."""
    return person.is_operator and OPERATOR_ALIAS in settings.DATABASES


def person_of(request: HttpRequest) -> Person | None:
    """Return who is signed in; None when nobody is, or not any more."""
    if _HASH not in request.session:
        return None
    return sign_in.person_of_session(user_id=UUID(request.session[_USER]), session_hash=request.session[_HASH])


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Make `view` a page of someone signed in: it runs in one transaction of their tenant, in their name.

    A refusal (status 400 and up) or an exception rolls back. A view that `opens_own_transaction` runs outside of one.
    Signed out, one is sent to sign in and comes back. `request.principal` and `request.person` say who it is; the role
    is read afresh each time and must be what `requires` asks for, else a viewer's to read and a member's to write.
    """
    opens_own = getattr(view, "opens_own_transaction", False)

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        person = person_of(request)
        if person is None:
            return to_sign_in(request)
        if _TENANT not in request.session and has_console(person):
            return HttpResponseRedirect(CONSOLE)  # an operator who is in no household
        tenant_id = UUID(request.session.get(_TENANT, _NOWHERE))
        if tenant_id not in person.tenant_ids:
            request.session.flush()
            return to_sign_in(request)
        request.person = person  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(tenant_id=str(tenant_id)), in_locale(person.locale):
            response = _answer(view, request, args, kwargs, tenant_id=tenant_id, person=person, opens_own=opens_own)
        add_never_cache_headers(response)  # balances stay out of the browser's cache
        return response

    return run


def _answer(
    view: Callable[..., HttpResponse],
    request: HttpRequest,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    tenant_id: UUID,
    person: Person,
    opens_own: bool,
) -> HttpResponse:
    """Run the view in its transaction, or outside of one, and answer what the domain refuses."""
    try:
        with tenant(tenant_id), acting_as(person.id):
            principal = _require_member(request, view, person)
            if not opens_own:
                response = view(request, *args, **kwargs)
                if response.status_code >= 400:
                    transaction.set_rollback(True)
                return response
        with acting_as(principal.user_id):
            return view(request, *args, **kwargs)
    except DomainError as error:
        return error_page(request, status=error.status, title=error.title(), detail=error.detail, code=error.code)
    except ObjectDoesNotExist as error:
        raise Http404 from error


def _require_member(request: HttpRequest, view: Callable[..., HttpResponse], person: Person) -> Principal:
    """Return the person as a member of the open tenant who may call the view.

    Raises:
        NotAMember: not any more; they left in this very moment.
        PermissionDenied: the role is too small.
    """
    principal = sign_in.principal_of_member(user_id=person.id)
    if principal is None:
        raise sign_in.NotAMember
    request.principal = principal  # type: ignore[attr-defined]  # for the invocation
    if not principal.role.allows(required_role(view, request.method or "GET")):
        raise PermissionDenied
    return principal


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send the person to sign in, and back afterwards where that is a page they can simply open."""
    is_htmx = request.headers.get("HX-Request") == "true"
    wanted = "/" if is_htmx or request.method != "GET" else request.get_full_path()
    path = reverse("sign-in") + ("" if wanted == "/" else "?" + urlencode({"next": wanted}))
    return HttpResponseClientRedirect(path) if is_htmx else HttpResponseRedirect(path)

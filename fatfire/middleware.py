"""Around every request: its id, its tenant's transaction, its invocation."""

import re
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error, transaction
from django.http import HttpRequest, HttpResponse

from fatfire.kit import clock
from fatfire.kit.errors import NotAuthenticated
from fatfire.problems import TooManyRequests, as_problem
from services.accounts import queries as accounts
from services.accounts.operations import note_key_use
from services.accounts.queries import KeyOwner, Principal
from services.telemetry.operations import Kind, Outcome, Run, count_request, record_invocation
from tenants.isolation import acting_as, shared, tenant
from tenants.permissions import required_role

logger = structlog.get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_NOT_RECORDED = ("/livez", "/readyz", "/static/", "/files/")


class RequestMiddleware:
    """Gives the request an id (the caller's, where it is a sane one), binds it to the log, records the invocation."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started_at = clock.now()
        request.request_id, request.principal, request.error_code = request_id, None, ""  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = as_problem(request, self.get_response(request))
            response[REQUEST_ID_HEADER] = request_id
            if request.path.startswith("/api/"):
                response.headers.setdefault("Cache-Control", "no-store")  # a person's wealth, in no one's cache
            if not request.path.startswith(_NOT_RECORDED):
                ended_at = clock.now()
                run = Run(
                    kind=Kind.REQUEST,
                    name=_name(request),
                    outcome=_outcome(response.status_code),
                    started_at=started_at,
                    ended_at=ended_at,
                    request_id=request_id,
                    status=response.status_code,
                    error_code=request.error_code,  # type: ignore[attr-defined]
                )
                _record(run, request.principal)  # type: ignore[attr-defined]
        return response


def _name(request: HttpRequest) -> str:
    """Return the method and the route, without the ids in it: invocations of one route share a name.

    There are as many names as routes and methods, whatever a stranger sends.
    """
    method, match = request.method if request.method in _METHODS else "OTHER", request.resolver_match
    return f"{method} /{match.route}" if match else f"{method} (no route)"


def _outcome(status: int) -> Outcome:
    if status >= 500:
        return Outcome.FAILED
    return Outcome.REFUSED if status >= 400 else Outcome.OK


def _record(run: Run, principal: Principal | None) -> None:
    """Write the invocation, or count nobody's, in a transaction of its own: the request's may have been rolled back."""
    try:
        if principal:
            with tenant(principal.tenant_id):
                record_invocation(run)
                note_key_use(principal=principal, at=run.ended_at)
        else:
            with shared():
                count_request(run)
    except Error:  # the answer stands, whether it is recorded or not
        logger.exception("invocation_not_recorded")


def _owner_of_key(request: HttpRequest, secret: str) -> KeyOwner | None:
    """Return where the request's key belongs: by the authorizer's word where there is one, or as we find it.

    The word comes in API Gateway's own variable, which no header can set (theirs begin with HTTP_). It says where to
    look and no more: whether the key is this one, and good, is read afresh.
    """
    if not settings.API_BEHIND_AUTHORIZER:
        return accounts.owner_of_key(secret=secret) if secret else None
    try:
        said = request.META["API_GATEWAY_AUTHORIZER"]["lambda"]
        return KeyOwner(tenant_id=UUID(said["tenantId"]), api_key_id=UUID(said["apiKeyId"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def in_tenant_transaction(
    answer: Callable[..., HttpResponse], *, view: Callable[..., Any]
) -> Callable[..., HttpResponse]:
    """Wrap an API operation: find out who asks, and run it in one transaction of their tenant.

    Anything but success rolls back, so a refusal changes nothing. A view that `opens_own_transaction` runs outside of
    one. `request.principal` (else `request.refusal`) and `request.role_needed` are what the API's authentication then
    decides by. A key's requests are counted when they end, so those under way at once may exceed its limit.
    """
    opens_own = getattr(view, "opens_own_transaction", False)

    @wraps(answer)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.role_needed = required_role(view, request.method or "GET")  # type: ignore[attr-defined]
        request.refusal = NotAuthenticated()  # type: ignore[attr-defined]
        secret = request.headers.get("X-API-Key", "")
        owner = _owner_of_key(request, secret)
        if owner is None:
            return answer(request, *args, **kwargs)  # to be refused by the API's authentication
        with structlog.contextvars.bound_contextvars(tenant_id=str(owner.tenant_id)):
            with tenant(owner.tenant_id):
                principal = accounts.principal_of_key(
                    api_key_id=owner.api_key_id, secret=secret, at=(at := clock.now())
                )
                if principal and principal.key_requests >= settings.API_REQUESTS_PER_MINUTE:
                    request.refusal = TooManyRequests(retry_after_s=60 - at.second)  # type: ignore[attr-defined]
                    principal = None
                request.principal = principal  # type: ignore[attr-defined]
                if not opens_own:
                    with acting_as(principal.user_id if principal else None):
                        response = answer(request, *args, **kwargs)
                    if response.status_code >= 400:
                        transaction.set_rollback(True)
                    return response
            with acting_as(principal.user_id if principal else None):
                return answer(request, *args, **kwargs)

    return run

"""The API's root: mounts each service's router, authenticates, and turns errors into application/problem+json (RFC 9457)."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.renderers import BaseRenderer
from ninja.security import APIKeyHeader

from fatfire.api_docs import Docs
from fatfire.kit.errors import DomainError, NotAuthenticated, NotFound, PermissionDenied
from fatfire.middleware import in_tenant_transaction
from fatfire.problems import InternalError, MalformedRequest, problem
from services.accounts.api import router as accounts
from services.accounts.queries import Principal
from services.analytics.api import router as analytics
from services.core.api import router as core
from services.exchange.api import router as exchange
from services.integration.api import router as integration
from services.jobs.api import router as jobs

logger = structlog.get_logger(__name__)


class _ApiKey(APIKeyHeader):
    """A key of `manage.py create_api_key`, in the header X-API-Key."""

    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> Principal:
        """Return who asks, as `in_tenant_transaction` found them."""
        principal: Principal | None = request.principal  # type: ignore[attr-defined]
        if principal is None:
            raise NotAuthenticated
        if not principal.role.allows(request.role_needed):  # type: ignore[attr-defined]
            raise PermissionDenied
        return principal


class _Renderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        """Write JSON; Decimals as text, since JSON numbers are binary floats to most readers."""
        return orjson.dumps(data, default=str)


api = NinjaAPI(
    title="fatfire",
    version="1.0.0",
    urls_namespace="api",
    auth=_ApiKey(),
    renderer=_Renderer(),
    docs_url="/docs",
    docs=Docs(),
)


def _bind(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give the operation its tenant's transaction. `run` is ninja's bound method, so its view can be asked for its marks."""
    return in_tenant_transaction(run, view=run.__self__.view_func)  # type: ignore[attr-defined]


api.add_decorator(_bind, mode="view")
for router in (accounts, core, analytics, integration, exchange, jobs):
    api.add_router("", router)


@api.exception_handler(DomainError)
def _domain_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    return problem(request, error)


@api.exception_handler(ObjectDoesNotExist)
def _does_not_exist(request: HttpRequest, error: ObjectDoesNotExist) -> HttpResponse:
    """Answer the same for an id that never was and one of another tenant."""
    return problem(request, NotFound())


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(request, NotFound())


@api.exception_handler(AuthenticationError)
def _not_authenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return problem(request, NotAuthenticated())


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"field": _field(each["loc"]), "message": each["msg"]} for each in error.errors]
    return problem(request, MalformedRequest(), errors=errors)


def _field(location: tuple[str | int, ...]) -> str:
    """Return the field's name as the client wrote it: ("body", "body", "name") is name, ("query", "limit") is limit."""
    own_names = location[2:] if location[0] == "body" else location[1:]
    return ".".join(str(part) for part in own_names) or str(location[0])


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == HTTPStatus.BAD_REQUEST:  # ninja's word for a body that isn't JSON
        return problem(request, MalformedRequest(str(error)))
    raise error


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    """The outermost edge of a request: log with the traceback, tell nothing."""
    logger.exception("request_failed", exc_info=error)
    return problem(request, InternalError())

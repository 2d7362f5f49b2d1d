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

from fatfire.kit.errors import DomainError, InvalidInput, NotAuthenticated, NotFound, PermissionDenied
from fatfire.middleware import in_tenant_transaction
from services.accounts.queries import Principal

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


api = NinjaAPI(title="fatfire", version="1.0.0", urls_namespace="api", auth=_ApiKey(), renderer=_Renderer(), docs_url="/docs")


def _bind(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give the operation its tenant's transaction. `run` is ninja's bound method, so its view can be asked for its marks."""
    return in_tenant_transaction(run, view=run.__self__.view_func)  # type: ignore[attr-defined]


api.add_decorator(_bind, mode="view")


def problem(request: HttpRequest, error: DomainError, *, errors: list[dict[str, Any]] | None = None) -> HttpResponse:
    """Return the error as a problem document: type, title, status, detail, code, request_id, and the fields at fault."""
    request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    if isinstance(error, InvalidInput):
        errors = [{"field": error.field, "message": error.detail}]
    body = {
        "type": f"urn:fatfire:error:{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request.request_id,  # type: ignore[attr-defined]
    }
    if errors:
        body["errors"] = errors
    response = HttpResponse(orjson.dumps(body), status=error.status, content_type="application/problem+json")
    if isinstance(error, NotAuthenticated):
        response["WWW-Authenticate"] = "X-API-Key"
    return response


class MalformedRequest(DomainError):
    """The request is not of the documented form."""

    status, code = 422, "malformed_request"


class InternalError(DomainError):
    """Something went wrong on our side."""

    status, code = 500, "internal_error"


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
    errors = [{"field": ".".join(str(part) for part in each["loc"][1:]), "message": each["msg"]} for each in error.errors]
    return problem(request, MalformedRequest(), errors=errors)


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

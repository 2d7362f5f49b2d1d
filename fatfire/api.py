"""The API's root: mounts each service's router, authenticates, turns errors into application/problem+json (RFC 9457),
and describes all of it in the OpenAPI document."""

import json
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.datastructures import MultiValueDict
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.security import APIKeyHeader
from pydantic.json_schema import models_json_schema

from fatfire.api_docs import Docs
from fatfire.kit.errors import DomainError, InvalidInput, NotAuthenticated, NotFound, PermissionDenied
from fatfire.middleware import in_tenant_transaction
from fatfire.problems import (
    CONTENT_TYPE,
    FieldProblem,
    InternalError,
    MalformedRequest,
    Problem,
    RequestTooLarge,
    problem,
)
from services.accounts.api import router as accounts
from services.accounts.queries import Principal
from services.analytics.api import router as analytics
from services.cleanup.api import router as cleanup
from services.core.api import router as core
from services.exchange.api import router as exchange
from services.insurance.api import router as insurance
from services.integration.api import router as integration
from services.jobs.api import router as jobs
from services.media.api import router as media
from services.receipts.api import router as receipts
from services.tax.api import router as tax
from tenants.permissions import required_role

logger = structlog.get_logger(__name__)


class ApiKey(APIKeyHeader):
    """A key of a member, in the header X-API-Key."""

    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> Principal:
        """Return who asks, as `in_tenant_transaction` found them."""
        principal: Principal | None = request.principal  # type: ignore[attr-defined]
        if principal is None:
            raise request.refusal  # type: ignore[attr-defined]
        if not principal.role.allows(request.role_needed):  # type: ignore[attr-defined]
            raise PermissionDenied
        return principal


class _Parser(Parser):
    """Reads a request exactly, and refuses what is no JSON or no text to PostgreSQL."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the body. Ninja turns whatever this raises into an HttpError, with our reason as its cause."""
        orjson.loads(
            request.body
        )  # stricter than the standard library: no NaN, no lone surrogates, no bottomless nesting
        body = json.loads(request.body, parse_float=Decimal)  # an amount written as a number never becomes a float
        for name, value in body.items() if isinstance(body, dict) else [("body", body)]:
            if _has_nul(name) or _has_nul(value):
                raise InvalidInput(_NUL, field=name)
        return body

    def parse_querydict(self, data: MultiValueDict[str, str], list_fields: list[str], request: HttpRequest) -> Any:
        """Return the query's parameters."""
        for name, values in data.lists():
            if _has_nul(values):
                raise InvalidInput(_NUL, field=name)
        return super().parse_querydict(data, list_fields, request)


_NUL = "Text can't contain the character NUL."


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(each) for name, each in value.items())
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


class _Renderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        """Write JSON; Decimals as text, since JSON numbers are binary floats to most readers."""
        return orjson.dumps(data, default=str)


class _Document(OpenAPISchema):
    """The OpenAPI document, with what is the same for every operation: errors, and words from the docstring."""

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        """Describe one operation."""
        details = super().operation_details(operation)
        details["summary"], _, rest = (operation.view_func.__doc__ or "").strip().partition("\n")
        role = required_role(operation.view_func, operation.methods[0])
        details["description"] = f"{rest.strip()}\n\nNeeds the role {role} or a higher one.".strip()
        details["x-role"] = role.value
        for parameter in details["parameters"]:
            parameter.pop("examples", None)  # a list, which only the schema (where it stays) may have
        details["responses"] |= {
            status: {
                "description": HTTPStatus(status).phrase,
                "content": {CONTENT_TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model=Problem.__name__)}}},
            }
            for status in _ERRORS
        }
        return details

    def get_components(self) -> dict[str, Any]:
        """Describe what the operations have in common."""
        _, problems = models_json_schema([(Problem, "serialization")], ref_template=REF_TEMPLATE)
        self.add_schema_definitions(problems["$defs"])
        return super().get_components()


_ERRORS = (401, 403, 404, 409, 413, 422, 429, 500, 503)


class _Api(NinjaAPI):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Name the operation after its function: stable, and what a generated client calls its method."""
        return operation.view_func.__name__

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the OpenAPI document."""
        return _Document(self, self.get_root_path(path_params or {}) if path_prefix is None else path_prefix)


api = _Api(
    title="fatfire",
    version="1.0.0",
    description="A person's whole wealth. Amounts are exact decimal text, days are ISO dates, errors follow RFC 9457.",
    urls_namespace="api",
    auth=ApiKey(),
    parser=_Parser(),
    renderer=_Renderer(),
    docs_url="/docs",
    docs=Docs(),
)


def _bind(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give the operation its tenant's transaction. `run` is ninja's bound method: its view has the marks."""
    return in_tenant_transaction(run, view=run.__self__.view_func)  # type: ignore[attr-defined]


api.add_decorator(_bind, mode="view")
# A path's operations must be in one router, or the first is asked alone: what deletes a portfolio joins what shows it.
_PORTFOLIO = "/portfolios/{portfolio_id}"
core.path_operations[_PORTFOLIO].operations += cleanup.path_operations.pop(_PORTFOLIO).operations
for router in (accounts, core, cleanup, analytics, integration, insurance, receipts, media, tax, exchange, jobs):
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
    errors = [FieldProblem(field=_field(each["loc"]), message=each["msg"]) for each in error.errors]
    return problem(request, MalformedRequest(), errors=errors)


def _field(location: tuple[str | int, ...]) -> str:
    """Return the field's name as the client wrote it: ("body", "body", "name") is name, ("query", "limit") is limit."""
    own_names = location[2:] if location[0] == "body" else location[1:]
    return ".".join(str(part) for part in own_names) or str(location[0])


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code != HTTPStatus.BAD_REQUEST:  # ninja's word for a body that can't be read
        raise error
    cause = error.__cause__
    return problem(request, cause if isinstance(cause, DomainError) else MalformedRequest("The body is not JSON."))


@api.exception_handler(SuspiciousOperation)
def _suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    """Answer what Django refuses to read: a body too large, parameters too many."""
    return problem(request, RequestTooLarge() if isinstance(error, RequestDataTooBig) else MalformedRequest())


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    """The outermost edge of a request: log with the traceback, tell nothing."""
    logger.exception("request_failed", exc_info=error)
    return problem(request, InternalError())


urlpatterns = api.urls[0]  # as a URLconf

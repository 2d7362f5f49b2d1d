"""Errors over HTTP: application/problem+json (RFC 9457) with a stable code."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from fatfire.kit.errors import DomainError, InvalidInput, NotAuthenticated, NotFound


class MalformedRequest(DomainError):
    """The request is not of the documented form."""

    status, code = 422, "malformed_request"


class MethodNotAllowed(DomainError):
    """This can't be done here."""

    status, code = 405, "method_not_allowed"


class InternalError(DomainError):
    """Something went wrong on our side."""

    status, code = 500, "internal_error"


_PLAIN = {error.status: error for error in (NotFound, MethodNotAllowed, InternalError)}


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


def as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return Django's own error pages under /api/ (no such route, no such method) as problem documents; the rest as it is."""
    error = _PLAIN.get(response.status_code)
    if (
        error is None
        or not request.path.startswith("/api/")
        or response.get("Content-Type") == "application/problem+json"
    ):
        return response
    replaced = problem(request, error())
    if "Allow" in response:
        replaced["Allow"] = response["Allow"]
    return replaced

"""Errors over HTTP: application/problem+json (RFC 9457) with a stable code."""

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from fatfire.kit.errors import DomainError, InvalidInput, NotAuthenticated, NotFound

CONTENT_TYPE = "application/problem+json"


class MalformedRequest(DomainError):
    """The request is not of the documented form."""

    status, code = 422, "malformed_request"


class BadRequest(DomainError):
    """The request can't be understood."""

    status, code = 400, "bad_request"


class RequestTooLarge(DomainError):
    """The request's body is too large."""

    status, code = 413, "request_too_large"


class MethodNotAllowed(DomainError):
    """This can't be done here."""

    status, code = 405, "method_not_allowed"


class TooManyRequests(DomainError):
    """This key was used too often in this minute."""

    status, code = 429, "too_many_requests"

    def __init__(self, *, retry_after_s: int) -> None:
        """Tell when the next minute begins."""
        super().__init__(f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class InternalError(DomainError):
    """Something went wrong on our side."""

    status, code = 500, "internal_error"


_PLAIN = {error.status: error for error in (BadRequest, NotFound, MethodNotAllowed, InternalError)}


class FieldProblem(BaseModel):
    """What is wrong with one field, by the name that the client gave it (`steps.0.name` within another)."""

    field: str
    message: str


class Problem(BaseModel):
    """Why a request was refused; nothing was changed. Programs decide by `code`, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] = []


def problem(request: HttpRequest, error: DomainError, *, errors: list[FieldProblem] | None = None) -> HttpResponse:
    """Return the error as a problem document, with the fields at fault where there are any."""
    request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    if isinstance(error, InvalidInput):
        errors = [FieldProblem(field=error.field, message=error.detail)]
    body = Problem(
        type=f"urn:fatfire:error:{error.code}",
        title=error.title(),
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=request.request_id,  # type: ignore[attr-defined]
        errors=errors or [],
    )
    response = HttpResponse(body.model_dump_json(exclude_defaults=True), status=error.status, content_type=CONTENT_TYPE)
    if isinstance(error, NotAuthenticated):
        response["WWW-Authenticate"] = "X-API-Key"
    if isinstance(error, TooManyRequests):
        response["Retry-After"] = str(error.retry_after_s)
    return response


def as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return Django's own error pages under /api/ (no such route, no such method) as problems; the rest as it is."""
    error = _PLAIN.get(response.status_code)
    if error is None or not request.path.startswith("/api/") or response.get("Content-Type") == CONTENT_TYPE:
        return response
    replaced = problem(request, error())
    if "Allow" in response:
        replaced["Allow"] = response["Allow"]
    return replaced

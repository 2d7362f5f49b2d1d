"""What a person sees when a page can't be shown."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fatfire.kit.errors import PermissionDenied

_SENTENCES = {
    HTTPStatus.BAD_REQUEST: ("That didn't work", "The request could not be understood."),
    HTTPStatus.FORBIDDEN: (
        "That didn't work",
        "The form was too old or came from elsewhere. Go back, reload the page and try again.",
    ),
    HTTPStatus.NOT_FOUND: ("There is nothing here", "The address is wrong, or what was here is gone."),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "Something went wrong",
        "The fault is ours. Try again in a while.",
    ),
}

_WHAT_HELPS = {
    PermissionDenied.code: "An owner or an admin of your household can do it, or give you another role.",
}


def error_page(request: HttpRequest, *, status: int, title: str, detail: str, code: str = "") -> HttpResponse:
    """Return a page that says what is wrong in a sentence."""
    request.error_code = code  # type: ignore[attr-defined]  # for the invocation
    title = title.rstrip(".")
    if detail.rstrip(".") == title:  # the sentence is said once, and then what helps
        detail = _WHAT_HELPS.get(code, "")
    return render(request, "web/error.html", {"title": title, "detail": detail}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _plain(request, HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _plain(request, HTTPStatus.FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token."""
    return _plain(request, HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _plain(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return _plain(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def _plain(request: HttpRequest, status: HTTPStatus) -> HttpResponse:
    title, detail = _SENTENCES[status]
    return error_page(request, status=status, title=title, detail=detail)

"""The API's documentation in a browser, with the one exception from the pages' policy that it needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Swagger

# Swagger UI's style sheet carries its arrows as data: images.
_POLICY: dict[str, list[str]] = {**settings.SECURE_CSP, "img-src": [*settings.SECURE_CSP["img-src"], "data:"]}


class Docs(Swagger):
    """Swagger UI, from our own files."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """Return the page with its policy."""
        response = super().render_page(request, api, **kwargs)
        response._csp_config = _POLICY  # type: ignore[attr-defined]  # what Django's csp_override sets
        return response

"""All URLs."""

import structlog
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.http import require_safe

from services.telemetry.queries import database_is_ready
from tenants.isolation import OPERATOR_ALIAS

logger = structlog.get_logger(__name__)


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; whatever restarts processes asks this."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served; whatever sends requests here asks this."""
    try:
        ready = database_is_ready()
    except Error:
        logger.exception("database_unreachable")
        ready = False
    return HttpResponse("ok" if ready else "not ready", content_type="text/plain", status=200 if ready else 503)


urlpatterns = [
    path("livez", livez),
    path("readyz", readyz),
    path("api/v1/", ("fatfire.api", "ninja", "api")),  # by name: a function that is asked for a page doesn't load it
    path("", include("fatfire.web.urls")),
]
if OPERATOR_ALIAS in settings.DATABASES:  # a process that may not work across tenants has no console
    urlpatterns += [path("", include("fatfire.console.urls"))]

handler400 = "fatfire.web.errors.bad_request"
handler403 = "fatfire.web.errors.permission_denied"
handler404 = "fatfire.web.errors.not_found"
handler500 = "fatfire.web.errors.server_error"

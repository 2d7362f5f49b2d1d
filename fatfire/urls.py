"""All URLs."""

from django.urls import include, path

from fatfire.api import api

urlpatterns = [
    path("api/v1/", api.urls),
    path("", include("fatfire.web.urls")),
]

handler400 = "fatfire.web.errors.bad_request"
handler403 = "fatfire.web.errors.permission_denied"
handler404 = "fatfire.web.errors.not_found"
handler500 = "fatfire.web.errors.server_error"

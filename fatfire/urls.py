"""All URLs."""

from django.urls import path

from fatfire.api import api

urlpatterns = [
    path("api/v1/", api.urls),
]

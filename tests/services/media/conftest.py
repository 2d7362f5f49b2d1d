"""A storage and a household of its own for each test."""

import pytest

from tenants.models import Tenant
from tests.factories import make_tenant


@pytest.fixture(autouse=True)
def folder(tmp_path, settings):
    """Files lie in a folder of the test's own, and workers start at once: a short video has several segments."""
    settings.MEDIA_FOLDER = tmp_path / "media"
    settings.MEDIA_WORKER_START_SECONDS = 0.0
    return settings.MEDIA_FOLDER


@pytest.fixture
def home(database) -> Tenant:
    """Return a household."""
    return make_tenant()

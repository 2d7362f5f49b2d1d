"""A tenant, and a broker without messages of earlier tests."""

import pytest

from tests.factories import make_tenant
from tests.services.jobs.kinds import take_messages


@pytest.fixture
def owner(database):
    """A tenant's id."""
    return make_tenant().id


@pytest.fixture(autouse=True)
def empty_broker():
    take_messages()

"""A tenant, its jobs, and a broker without messages of earlier tests."""

import pytest

from services.jobs import operations as jobs
from tenants.isolation import tenant
from tests.factories import AT, make_tenant
from tests.services.jobs.kinds import DIAMOND, SINGLE, SUBJECT, take_messages


@pytest.fixture
def owner(database):
    """A tenant's id."""
    return make_tenant().id


@pytest.fixture(autouse=True)
def empty_broker():
    take_messages()


@pytest.fixture
def single(owner):
    """A queued job of one step."""
    with tenant(owner):
        return jobs.enqueue(kind=SINGLE, subject_id=SUBJECT, at=AT)


@pytest.fixture
def diamond(owner):
    """A queued job: first, then left and right side by side, then last."""
    with tenant(owner):
        return jobs.enqueue(kind=DIAMOND, subject_id=SUBJECT, at=AT)

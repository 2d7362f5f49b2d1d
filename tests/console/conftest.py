"""Operators, and everyone else who might try the console's doors."""

from collections.abc import Iterator

import pytest
from django.test import Client

from tenants.isolation import operator
from tenants.models import Tenant, User
from tests.factories import AT, make_tenant
from tests.web.conftest import sign_in

OPERATOR = "operator@fatfire.example"


@pytest.fixture
def home(database) -> Tenant:
    return make_tenant(slug="home")


@pytest.fixture
def ada(database) -> User:
    """Return an operator who is in no household."""
    with operator():
        return User.objects.create(email=OPERATOR, name="Ada Operator", is_operator=True, created_at=AT)


@pytest.fixture
def client(home, ada) -> Client:
    """Return the operator's browser."""
    return sign_in(OPERATOR)


@pytest.fixture
def member(home) -> Iterator[Client]:
    """Return the browser of a household's owner."""
    return sign_in("owner@home.example")

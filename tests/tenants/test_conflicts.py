"""A violated constraint is named, and only its own savepoint is lost."""

import pytest
from django.db import IntegrityError

from fatfire.kit.errors import DomainError
from services.core.models import Portfolio
from tenants.conflicts import conflict_means
from tenants.isolation import tenant
from tests.factories import make_portfolio, make_tenant


class Taken(DomainError):
    """It is taken."""


def add(name="Family", currency="AUD"):
    with conflict_means("core_portfolio_name_once", Taken):
        Portfolio.objects.create(name=name, currency=currency, time_zone="UTC")


def test_conflict_is_raised_as_what_it_means(database):
    with tenant(make_tenant().id):
        make_portfolio(name="family")

        with pytest.raises(Taken):
            add()

        add("Another")
        assert sorted(Portfolio.objects.values_list("name", flat=True)) == ["Another", "family"]


def test_other_violation_stays_what_it_is(database):
    with tenant(make_tenant().id), pytest.raises(IntegrityError, match="core_portfolio_currency_is_a_code"):
        add(currency="aud")


def test_other_constraint_stays_what_it_is(database):
    with tenant(make_tenant().id):
        known = make_portfolio()

        with pytest.raises(IntegrityError, match="core_portfolio_pkey"), conflict_means("another", Taken):
            Portfolio.objects.create(id=known.id, name="Else", currency="AUD", time_zone="UTC")

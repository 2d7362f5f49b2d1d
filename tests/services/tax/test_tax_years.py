"""Tax years: when they begin, what the database refuses, what the operations say."""

import datetime as dt
from dataclasses import asdict
from decimal import Decimal

import pytest
from django.db import IntegrityError

from fatfire.kit.errors import InvalidInput
from services.tax import operations, queries
from services.tax.models import Jurisdiction, Status, TaxYear
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT, TODAY, make_tenant
from tests.services.tax.rows import make_tax_year, tax_year_facts

LODGED, ASSESSED = dt.date(2026, 8, 3), dt.date(2026, 8, 20)


@pytest.fixture
def scope(database):
    with tenant(make_tenant().id):
        yield


YEARS = [
    # country, begins in, label, first day, last day, currency
    ("AU", 2026, "2026-27", "2026-07-01", "2027-06-30", "AUD"),
    ("AU", 1999, "1999-00", "1999-07-01", "2000-06-30", "AUD"),
    ("GB", 2026, "2026-27", "2026-04-06", "2027-04-05", "GBP"),
    ("NZ", 2026, "2026-27", "2026-04-01", "2027-03-31", "NZD"),
    ("US", 2024, "2024", "2024-01-01", "2024-12-31", "USD"),
]


@pytest.mark.parametrize(("country", "starts_in", "label", "first", "last", "currency"), YEARS)
def test_year_follows_from_the_country(country, starts_in, label, first, last, currency):
    year = TaxYear(tenant_id=None, jurisdiction=country, starts_in=starts_in)

    assert (year.label, year.starts_on.isoformat(), year.ends_on.isoformat(), year.currency) == (
        label, first, last, currency,
    )  # fmt: skip


def test_every_country_has_a_case():
    assert {country for country, *_ in YEARS} == set(Jurisdiction.values)


STATUSES = [
    ({}, Status.OPEN),
    ({"lodged_on": LODGED}, Status.LODGED),
    ({"lodged_on": LODGED, "assessed_on": ASSESSED}, Status.ASSESSED),
]


@pytest.mark.parametrize(("days", "status"), STATUSES)
def test_days_say_the_status(scope, days, status):
    assert make_tax_year(**days).status == status


ALLOWED = [
    {"person_name": "Alex", "starts_in": 2024},
    {"person_name": "Alex", "jurisdiction": "US"},
    {"lodged_on": dt.date(2025, 1, 1)},
    {"lodged_on": LODGED, "assessed_on": LODGED},
    {"lodged_on": LODGED, "assessed_on": ASSESSED, "assessment": Decimal("-312.55")},
    {"lodged_on": LODGED, "assessed_on": ASSESSED, "assessment": Decimal(0)},
]
REFUSED = [
    # what is written instead, the constraint
    ({"person_name": "Alex"}, "tax_taxyear_once_a_person"),
    ({"person_name": "ALEX"}, "tax_taxyear_once_a_person"),
    ({"person_name": ""}, "tax_taxyear_person_named"),
    ({"jurisdiction": "ZZ"}, "tax_taxyear_jurisdiction_known"),
    ({"starts_in": 1899}, "tax_taxyear_year_plausible"),
    ({"starts_in": 2200}, "tax_taxyear_year_plausible"),
    ({"lodged_on": dt.date(2024, 12, 31)}, "tax_taxyear_lodged_after_it_starts"),
    ({"assessed_on": ASSESSED}, "tax_taxyear_assessed_after_lodged"),
    ({"lodged_on": ASSESSED, "assessed_on": LODGED}, "tax_taxyear_assessed_after_lodged"),
    ({"assessment": Decimal(1)}, "tax_taxyear_assessment_when_assessed"),
    ({"lodged_on": LODGED, "assessment": Decimal(1)}, "tax_taxyear_assessment_when_assessed"),
]


@pytest.mark.parametrize("said", ALLOWED)
def test_database_takes_what_may_be(scope, said):
    make_tax_year(person_name="Alex")
    TaxYear.objects.create(**{**asdict(tax_year_facts()), **said})

    assert TaxYear.objects.count() == 2


@pytest.mark.parametrize(("said", "constraint"), REFUSED)
def test_database_refuses_what_must_never_be(scope, said, constraint):
    make_tax_year(person_name="Alex")

    with pytest.raises(IntegrityError, match=constraint):
        TaxYear.objects.create(**{**asdict(tax_year_facts()), **said})


def test_every_check_has_a_case():
    declared = {each.name for each in TaxYear._meta.constraints}
    general = {name for name in declared if name.endswith(("_isolation", "_tenant_id"))}

    assert {constraint for _, constraint in REFUSED} == declared - general


INVALID = [
    # what is said instead, the field that is named
    ({"starts_in": 1899}, "starts_in"),
    ({"starts_in": 2200}, "starts_in"),
    ({"lodged_on": TODAY + dt.timedelta(days=1)}, "lodged_on"),
    ({"lodged_on": dt.date(2024, 12, 31)}, "lodged_on"),
    ({"assessed_on": ASSESSED}, "lodged_on"),
    ({"lodged_on": ASSESSED, "assessed_on": LODGED}, "assessed_on"),
    ({"lodged_on": LODGED, "assessed_on": TODAY + dt.timedelta(days=1)}, "assessed_on"),
    ({"lodged_on": LODGED, "assessment": Decimal(1)}, "assessed_on"),
    ({"lodged_on": LODGED, "assessed_on": ASSESSED, "assessment": Decimal("1.005")}, "assessment"),
]


@pytest.mark.parametrize(("said", "field"), INVALID)
def test_what_can_not_be_is_named_and_changes_nothing(scope, said, field):
    tax_year = make_tax_year()
    before = list(TaxYear.objects.values())

    with pytest.raises(InvalidInput) as refused:
        operations.create_tax_year(facts=tax_year_facts(**said), at=AT)
    assert refused.value.field == field
    with pytest.raises(InvalidInput) as refused:
        operations.update_tax_year(tax_year_id=tax_year.id, facts=tax_year_facts(**said), at=AT)
    assert refused.value.field == field
    assert list(TaxYear.objects.values()) == before


def test_person_has_a_year_once(scope):
    make_tax_year(person_name="Alex")
    other = make_tax_year(person_name="Sam")
    facts = tax_year_facts(person_name="alex")

    with pytest.raises(operations.TaxYearExists):
        operations.create_tax_year(facts=facts, at=AT)
    with pytest.raises(operations.TaxYearExists):
        operations.update_tax_year(tax_year_id=other.id, facts=facts, at=AT)
    assert queries.people() == ["Alex", "Sam"]


def test_writes_are_audited_and_the_same_again_is_not(scope):
    tax_year = make_tax_year(person_name="Alex")
    facts = tax_year_facts(person_name="Alex", lodged_on=LODGED)
    for _ in range(2):
        updated = operations.update_tax_year(tax_year_id=tax_year.id, facts=facts, at=AT)
    operations.delete_tax_year(tax_year_id=tax_year.id, at=AT)

    assert updated.status == Status.LODGED
    events = AuditEvent.objects.filter(subject="tax_year", subject_id=tax_year.id).values_list("action", "details")
    assert sorted(events, key=lambda each: each[0]) == [
        ("create", {"year": "2025-26"}), ("delete", {"year": "2025-26"}), ("update", {"changed": ["lodged_on"]}),
    ]  # fmt: skip
    with pytest.raises(TaxYear.DoesNotExist):
        operations.delete_tax_year(tax_year_id=tax_year.id, at=AT)
    with pytest.raises(TaxYear.DoesNotExist):
        operations.update_tax_year(tax_year_id=tax_year.id, facts=facts, at=AT)

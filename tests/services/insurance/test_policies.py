"""Policies: what the database refuses, what the operations say, and what a year costs."""

import datetime as dt
from dataclasses import asdict
from decimal import Decimal

import pytest
from django.db import IntegrityError

from fatfire.kit.errors import InvalidInput
from services.core.models import Asset, Portfolio
from services.insurance import operations, queries
from services.insurance.models import Policy, PremiumFrequency
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_tenant
from tests.services.insurance.rows import make_policy, policy_facts

YESTERDAY, TOMORROW = TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=1)


@pytest.fixture
def portfolio(database):
    with tenant(make_tenant().id):
        yield make_portfolio()


ALLOWED = [
    {"premium": Decimal(0), "excess": Decimal(0), "sum_insured": Decimal("0.01")},
    {"ends_on": TODAY, "cancelled_on": TODAY},
    {"ends_on": TOMORROW, "renews_automatically": True},
    {"number": ""},
    {"number": "H-1", "insurer": "Another"},
    {"number": "H-2"},
]
REFUSED = [
    # what is written instead, the constraint
    ({"number": "H-1"}, "insurance_policy_number_once"),
    ({"number": "h-1", "insurer": "COASTAL mutual"}, "insurance_policy_number_once"),
    ({"kind": "pets"}, "insurance_policy_kind_known"),
    ({"insurer": ""}, "insurance_policy_insurer_named"),
    ({"premium_frequency": "daily"}, "insurance_policy_frequency_known"),
    ({"currency": "aud"}, "insurance_policy_currency_is_a_code"),
    ({"sum_insured": Decimal(0)}, "insurance_policy_sum_insured_is_positive"),
    ({"premium": Decimal("-0.01")}, "insurance_policy_premium_is_not_negative"),
    ({"excess": Decimal("-0.01")}, "insurance_policy_excess_is_not_negative"),
    ({"ends_on": YESTERDAY}, "insurance_policy_ends_after_it_starts"),
    ({"renews_automatically": True}, "insurance_policy_renews_at_an_end"),
    ({"cancelled_on": YESTERDAY}, "insurance_policy_cancelled_after_it_starts"),
]


@pytest.mark.parametrize("said", ALLOWED)
def test_database_takes_what_may_be(portfolio, said):
    make_policy(portfolio, number="H-1")
    Policy.objects.create(**{**asdict(policy_facts(portfolio)), **said})

    assert Policy.objects.count() == 2


@pytest.mark.parametrize(("said", "constraint"), REFUSED)
def test_database_refuses_what_must_never_be(portfolio, said, constraint):
    make_policy(portfolio, number="H-1")

    with pytest.raises(IntegrityError, match=constraint):
        Policy.objects.create(**{**asdict(policy_facts(portfolio)), **said})


def test_every_check_has_a_case():
    declared = {each.name for each in Policy._meta.constraints}
    general = {name for name in declared if name.endswith(("_isolation", "_tenant_id", "_same_tenant"))}

    assert {constraint for _, constraint in REFUSED} == declared - general


INVALID = [
    # what is said instead, the field that is named
    ({"currency": "XXX"}, "currency"),
    ({"premium": Decimal("-1")}, "premium"),
    ({"premium": Decimal("1.005")}, "premium"),
    ({"premium": Decimal("NaN")}, "premium"),
    ({"sum_insured": Decimal(0)}, "sum_insured"),
    ({"sum_insured": Decimal(10**15)}, "sum_insured"),
    ({"excess": Decimal("-0.01")}, "excess"),
    ({"starts_on": dt.date(1899, 12, 31)}, "starts_on"),
    ({"ends_on": YESTERDAY}, "ends_on"),
    ({"cancelled_on": YESTERDAY}, "cancelled_on"),
    ({"renews_automatically": True}, "ends_on"),
]


@pytest.mark.parametrize(("said", "field"), INVALID)
def test_what_can_not_be_is_named_and_changes_nothing(portfolio, said, field):
    policy = make_policy(portfolio)
    facts = policy_facts(portfolio, **said)

    with pytest.raises(InvalidInput) as refused:
        operations.create_policy(facts=facts, at=AT)
    assert refused.value.field == field
    with pytest.raises(InvalidInput) as refused:
        operations.update_policy(policy_id=policy.id, facts=facts, at=AT)
    assert refused.value.field == field
    assert list(Policy.objects.values()) == [{**_row(policy)}]


def _row(policy):
    return {field.attname: getattr(policy, field.attname) for field in Policy._meta.concrete_fields}


def test_taken_number_is_named_and_the_transaction_goes_on(portfolio):
    make_policy(portfolio, number="H-1")
    other = make_policy(portfolio, number="H-2")
    taken = policy_facts(portfolio, number="h-1", insurer="coastal mutual")

    with pytest.raises(operations.PolicyNumberTaken):
        operations.create_policy(facts=taken, at=AT)
    with pytest.raises(operations.PolicyNumberTaken):
        operations.update_policy(policy_id=other.id, facts=taken, at=AT)

    assert sorted(Policy.objects.values_list("number", flat=True)) == ["H-1", "H-2"]


def test_policy_is_of_a_portfolio_and_its_own_assets(portfolio):
    elsewhere = make_asset(make_portfolio())
    facts = policy_facts(portfolio, asset_id=elsewhere.id)

    with pytest.raises(Asset.DoesNotExist):
        operations.create_policy(facts=facts, at=AT)
    with pytest.raises(Portfolio.DoesNotExist):
        operations.create_policy(facts=policy_facts(Portfolio()), at=AT)
    assert Policy.objects.count() == 0


def test_policy_outlives_the_asset_it_covers(portfolio):
    asset = make_asset(portfolio)
    policy = make_policy(portfolio, asset_id=asset.id)

    asset.delete()

    assert queries.get_policy(policy_id=policy.id).asset_id is None


def test_writes_are_audited_and_the_same_again_is_not(portfolio):
    policy = make_policy(portfolio, number="H-1")
    facts = policy_facts(portfolio, premium=Decimal("130.00"), note="Dearer")
    for _ in range(2):
        updated = operations.update_policy(policy_id=policy.id, facts=facts, at=AT)
    operations.delete_policy(policy_id=policy.id, at=AT)

    assert (updated.number, updated.premium, updated.note) == ("", Decimal("130.00"), "Dearer")
    events = AuditEvent.objects.filter(subject="policy", subject_id=policy.id).values_list("action", "details")
    said = {"kind": "home", "insurer": "Coastal Mutual"}
    assert sorted(events, key=lambda each: each[0]) == [
        ("create", said), ("delete", said), ("update", {"changed": ["note", "number", "premium"]}),
    ]  # fmt: skip
    with pytest.raises(Policy.DoesNotExist):
        operations.delete_policy(policy_id=policy.id, at=AT)
    with pytest.raises(Policy.DoesNotExist):
        operations.update_policy(policy_id=policy.id, facts=facts, at=AT)


YEARLY = [
    # frequency, premium, a year's
    ("weekly", "10.01", "520.52"),
    ("fortnightly", "10.01", "260.26"),
    ("monthly", "118.45", "1421.40"),
    ("quarterly", "99.99", "399.96"),
    ("half_yearly", "450.50", "901.00"),
    ("yearly", "1250.75", "1250.75"),
    ("yearly", "0", "0"),
    # More than the column could hold.
    ("weekly", "90000000000000.00", "4680000000000000.00"),
]


@pytest.mark.parametrize(("frequency", "premium", "yearly"), YEARLY)
def test_yearly_cost_is_exact(portfolio, frequency, premium, yearly):
    policy = make_policy(portfolio, premium=Decimal(premium), premium_frequency=PremiumFrequency(frequency))

    assert policy.yearly_premium == Decimal(yearly)
    assert queries.yearly_cost(portfolio_id=portfolio.id, on=TODAY) == {"AUD": Decimal(yearly)}


def test_yearly_cost_adds_up_by_currency_within_the_portfolio(portfolio):
    make_policy(portfolio, premium=Decimal(10))
    make_policy(portfolio, premium=Decimal(5))
    make_policy(portfolio, premium=Decimal(100), premium_frequency=PremiumFrequency.YEARLY)
    make_policy(portfolio, premium=Decimal(7), currency="USD")
    make_policy(make_portfolio(), premium=Decimal(1000))

    assert queries.yearly_cost(portfolio_id=portfolio.id, on=TODAY) == {"AUD": Decimal(280), "USD": Decimal(84)}


IN_FORCE = [
    # days of the policy, in force today
    ({}, True),
    ({"starts_on": TOMORROW}, False),
    ({"ends_on": TODAY}, True),
    ({"ends_on": YESTERDAY}, False),
    ({"ends_on": YESTERDAY, "renews_automatically": True}, True),
    ({"cancelled_on": TODAY}, False),
    ({"cancelled_on": TOMORROW}, True),
    ({"ends_on": YESTERDAY, "renews_automatically": True, "cancelled_on": TODAY}, False),
]


@pytest.mark.parametrize(("days", "is_so"), IN_FORCE)
def test_only_what_is_in_force_costs(portfolio, days, is_so):
    policy = make_policy(portfolio, **{"starts_on": YESTERDAY, **days})

    assert policy.is_in_force(TODAY) is is_so
    assert bool(queries.yearly_cost(portfolio_id=portfolio.id, on=TODAY)) is is_so

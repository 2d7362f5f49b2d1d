"""Money: exact, in a known currency, and quick to find under row-level security."""

import uuid
from decimal import Decimal

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import connection
from django.db.models import F, Max, Min, Sum, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fatfire.kit.errors import InvalidInput
from fatfire.kit.money import (
    MAX_AMOUNT,
    MINOR_DIGITS,
    Money,
    MoneyField,
    require_amount,
    require_currency,
    round_to_minor,
    to_text,
)
from services.core.models import Transaction
from tenants.isolation import tenant
from tests.factories import TODAY, make_asset, make_portfolio, make_tenant

AMOUNTS = st.integers(-(2**63) + 1, 2**63 - 1).map(lambda units: Decimal(units).scaleb(-4))


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "AUD", "0.01"),
        ("-0.005", "AUD", "-0.01"),
        ("0.015", "AUD", "0.02"),
        ("0.025", "AUD", "0.03"),  # not to even
        ("-0.025", "AUD", "-0.03"),
        ("0.00499999999999999999", "AUD", "0.00"),
        ("1.5", "JPY", "2"),
        ("-2.5", "JPY", "-3"),
        ("0.0005", "KWD", "0.001"),
        ("-0.0015", "KWD", "-0.002"),
        ("922337203685477.5807", "AUD", "922337203685477.58"),
    ],
)
def test_rounding_takes_halves_away_from_zero(amount, currency, rounded):
    assert str(round_to_minor(Decimal(amount), currency)) == rounded


def test_rounding_is_the_database_s_own(admin):
    halves = [Decimal(units).scaleb(-3) for units in range(-40, 41)]

    assert [admin.execute("SELECT round(%s::numeric, 2)", [each]).fetchone()[0] for each in halves] == [
        round_to_minor(each, "AUD") for each in halves
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1265594.4", "AUD", "1265594.40"),
        ("-12.5", "AUD", "-12.50"),
        ("0", "AUD", "0.00"),
        ("-0.00", "AUD", "0.00"),
        ("-0", "JPY", "0"),
        ("1E+3", "AUD", "1000.00"),
        ("1E+3", "JPY", "1000"),
        ("1500", "JPY", "1500"),
        ("1500.5", "JPY", "1500.5"),  # worked out, not yet rounded: never cut
        ("0.1", "KWD", "0.100"),
        ("12.3456", "AUD", "12.3456"),
        ("12.3400", "AUD", "12.34"),
        ("922337203685477.5807", "KWD", "922337203685477.5807"),
    ],
)
def test_text_is_exact_and_has_the_currency_s_decimals(amount, currency, text):
    assert to_text(Decimal(amount), currency) == text
    assert str(Money(Decimal(amount), currency)) == f"{text} {currency}"


@given(AMOUNTS, st.sampled_from(sorted(MINOR_DIGITS)))
def test_text_says_the_same_amount(amount, currency):
    assert Decimal(to_text(amount, currency)) == amount


@pytest.mark.parametrize("currency", ["", "aud", "XXX", "AUD ", "EURO"])
def test_currency_is_refused(currency):
    with pytest.raises(InvalidInput) as refusal:
        require_currency(currency, field="home_currency")
    assert refusal.value.field == "home_currency"
    with pytest.raises(ValueError, match="not money"):
        Money(Decimal(1), currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.01", "AUD"),
        ("-0.01", "AUD"),
        ("1", "JPY"),
        ("0.001", "KWD"),
        ("0.0100", "AUD"),
        ("-922337203685477.58", "AUD"),
    ],
)
def test_amount_is_accepted(amount, currency):
    assert require_amount(Decimal(amount), currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.001", "AUD"),
        ("0.1", "JPY"),
        ("0.0001", "KWD"),
        ("0.01000000000000000000000000000000000001", "AUD"),  # finer than a Decimal's usual precision
        ("NaN", "AUD"),
        ("sNaN", "AUD"),
        ("Infinity", "AUD"),
        ("-Infinity", "AUD"),
        ("922337203685477.59", "AUD"),
        ("-922337203685477.59", "AUD"),
        ("1E+999999", "AUD"),
        ("1E-999999", "AUD"),
    ],
)
def test_amount_is_refused(amount, currency):
    with pytest.raises(InvalidInput) as refusal:
        require_amount(Decimal(amount), currency, field="value")
    assert refusal.value.field == "value"


@pytest.mark.parametrize("amount", [1, 1.5, "1", None, Decimal("NaN"), Decimal("Infinity")])
def test_money_is_a_finite_decimal(amount):
    with pytest.raises(ValueError, match="not money"):
        Money(amount, "AUD")


REFUSED = [
    1.5,
    0.1,
    float("nan"),
    True,
    b"1",
    [],
    "",
    "one",
    "1,5",
    "NaN",
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal("0.00001"),
    Decimal("1.00000000000000000000000000000000000000001"),
    MAX_AMOUNT + Decimal("0.0001"),
    -MAX_AMOUNT - Decimal("0.0001"),
    Decimal("1E+999999"),
    10**40,
]


@pytest.mark.parametrize("value", REFUSED, ids=repr)
def test_field_refuses_what_it_cannot_hold_exactly(value):
    field = MoneyField()

    for method in (field.get_prep_value, field.to_python):
        with pytest.raises(ValidationError):
            method(value)
    for lookup in ("exact", "gt", "gte", "lt", "lte", "in", "range"):
        given_value = [value, value] if lookup in {"in", "range"} else value
        with pytest.raises(ValidationError):
            Transaction.objects.filter(**{f"amount__{lookup}": given_value}).query.sql_with_params()


@pytest.mark.parametrize(
    ("value", "units"),
    [(None, None), (12, 120000), ("12.5", 125000), (Decimal("-0.0001"), -1), (Decimal("1E+2"), 10**6)],
)
def test_field_writes_ten_thousandths(value, units):
    assert MoneyField().get_prep_value(value) == units


@pytest.fixture
def transactions(database):
    """Open a tenant and return a function that makes a transaction of an amount."""
    with tenant(make_tenant().id):
        asset = make_asset(make_portfolio())
        yield lambda amount: Transaction.objects.create(asset=asset, booked_on=TODAY, amount=amount, description="x")


def test_amount_comes_back_from_the_database_as_it_was(transactions):
    row = transactions(Decimal(0))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(AMOUNTS)
    def check(amount):
        Transaction.objects.filter(id=row.id).update(amount=amount)
        (found,) = Transaction.objects.filter(amount=amount).values_list("amount", flat=True)
        assert (found, type(found)) == (amount, Decimal)

    check()
    for amount in (MAX_AMOUNT, -MAX_AMOUNT):
        Transaction.objects.filter(id=row.id).update(amount=amount)
        assert Transaction.objects.get(amount__lte=MAX_AMOUNT).amount == amount


def test_arithmetic_in_the_database_gives_decimals(transactions):
    for amount in ("-12.50", "30.0001", "2"):
        transactions(Decimal(amount))
    fee = Value(Decimal("0.25"), MoneyField())

    assert Transaction.objects.aggregate(sum=Sum("amount"), least=Min("amount"), most=Max("amount")) == {
        "sum": Decimal("19.5001"),
        "least": Decimal("-12.50"),
        "most": Decimal("30.0001"),
    }
    assert Transaction.objects.none().aggregate(sum=Sum("amount", default=Decimal(0))) == {"sum": Decimal(0)}
    worked_out = Transaction.objects.order_by("amount").values_list(
        F("amount") + F("amount"), F("amount") - fee, F("amount") * 3, 2 * F("amount")
    )
    assert worked_out[0] == (Decimal("-25"), Decimal("-12.75"), Decimal("-37.5"), Decimal("-25"))
    assert Transaction.objects.aggregate(sum=Sum(F("amount") - fee)) == {"sum": Decimal("18.7501")}
    Transaction.objects.filter(amount=2).update(amount=F("amount") + fee)
    assert Transaction.objects.filter(amount=Decimal("2.25")).count() == 1


def test_arithmetic_that_would_be_wrong_is_refused(transactions):
    transactions(Decimal(2))

    for wrong in (F("amount") + Decimal("0.25"), F("amount") + 1, F("amount") * F("amount"), F("amount") * 1.5):
        with pytest.raises(FieldError):
            list(Transaction.objects.values_list(wrong))


def test_amount_is_an_index_condition_under_row_level_security(admin):
    with admin.transaction(force_rollback=True):
        admin.execute("CREATE TABLE probe (tenant_id uuid, as_bigint bigint, as_numeric numeric)")
        admin.execute("INSERT INTO probe SELECT %s, n, n FROM generate_series(1, 1000) n", [uuid.UUID(int=1)])
        admin.execute("CREATE INDEX ON probe (tenant_id, as_bigint)")
        admin.execute("CREATE INDEX ON probe (tenant_id, as_numeric)")
        admin.execute("ALTER TABLE probe ENABLE ROW LEVEL SECURITY")
        mine = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
        admin.execute(f"CREATE POLICY mine ON probe TO app_tenant USING (tenant_id = {mine})")  # type: ignore[arg-type]
        admin.execute("GRANT SELECT ON probe TO app_tenant")
        admin.execute("ANALYZE probe")
        admin.execute("SET LOCAL ROLE app_tenant")
        admin.execute("SET LOCAL enable_seqscan = off")
        plans = {
            column: "\n".join(row[0] for row in admin.execute(f"EXPLAIN SELECT FROM probe WHERE {column} > 990"))
            for column in ("as_bigint", "as_numeric")
        }

    condition = {
        column: next(line for line in plan.splitlines() if "Index Cond" in line) for column, plan in plans.items()
    }
    assert "as_bigint > 990" in condition["as_bigint"]
    assert "as_numeric > " not in condition["as_numeric"]  # which is why amounts aren't numeric


def test_column_is_a_bigint():
    assert MoneyField().db_type(connection) == "bigint"

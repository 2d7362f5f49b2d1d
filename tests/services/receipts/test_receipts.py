"""Receipts: what the database refuses, what the operations say, and what becomes of them when a bank takes back."""

import datetime as dt
from dataclasses import asdict
from decimal import Decimal

import pytest
from django.db import IntegrityError

from fatfire.kit.errors import InvalidInput
from services.core import operations as core
from services.core.models import Portfolio, Transaction
from services.receipts import operations, queries
from services.receipts.models import Receipt
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_tenant, make_transaction
from tests.services.receipts.rows import make_receipt, receipt_facts

YESTERDAY, TOMORROW = TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=1)


@pytest.fixture
def portfolio(database):
    with tenant(make_tenant().id):
        yield make_portfolio()


ALLOWED = [
    {"total": Decimal("0.01"), "tax_included": Decimal("0.01")},
    {"tax_included": Decimal(0)},
    {"warranty_until": TODAY},
]
REFUSED = [
    # what is written instead, the constraint
    ({"merchant": ""}, "receipts_receipt_merchant_named"),
    ({"currency": "AU"}, "receipts_receipt_currency_is_a_code"),
    ({"total": Decimal(0)}, "receipts_receipt_total_is_positive"),
    ({"tax_included": Decimal("-0.01")}, "receipts_receipt_tax_within_total"),
    ({"tax_included": Decimal("12.51")}, "receipts_receipt_tax_within_total"),
    ({"warranty_until": YESTERDAY}, "receipts_receipt_warranty_after_purchase"),
]


@pytest.mark.parametrize("said", ALLOWED)
def test_database_takes_what_may_be(portfolio, said):
    Receipt.objects.create(**{**asdict(receipt_facts(portfolio)), **said})

    assert Receipt.objects.count() == 1


@pytest.mark.parametrize(("said", "constraint"), REFUSED)
def test_database_refuses_what_must_never_be(portfolio, said, constraint):
    with pytest.raises(IntegrityError, match=constraint):
        Receipt.objects.create(**{**asdict(receipt_facts(portfolio)), **said})


def test_transaction_has_one_receipt(portfolio):
    transaction = make_transaction(make_asset(portfolio))
    first = make_receipt(portfolio, transaction_id=transaction.id)
    other = make_receipt(portfolio)
    facts = receipt_facts(portfolio, transaction_id=transaction.id)

    with pytest.raises(operations.TransactionHasReceipt):
        operations.create_receipt(facts=facts, at=AT)
    with pytest.raises(operations.TransactionHasReceipt):
        operations.update_receipt(receipt_id=other.id, facts=facts, at=AT)
    assert list(Receipt.objects.filter(transaction_id=transaction.id)) == [first]
    with pytest.raises(IntegrityError, match="receipts_receipt_one_per_transaction"):
        Receipt.objects.create(**asdict(facts))


def test_every_check_has_a_case():
    declared = {each.name for each in Receipt._meta.constraints}
    general = {name for name in declared if name.endswith(("_isolation", "_tenant_id", "_same_tenant"))}

    cases = {constraint for _, constraint in REFUSED} | {"receipts_receipt_one_per_transaction"}
    assert cases == declared - general


INVALID = [
    # what is said instead, the field that is named
    ({"currency": "XXX"}, "currency"),
    ({"total": Decimal(0)}, "total"),
    ({"total": Decimal("-5")}, "total"),
    ({"total": Decimal("1.005")}, "total"),
    ({"tax_included": Decimal("-0.01")}, "tax_included"),
    ({"tax_included": Decimal("12.51")}, "tax_included"),
    ({"tax_included": Decimal("1.005")}, "tax_included"),
    ({"purchased_on": TOMORROW}, "purchased_on"),
    ({"purchased_on": dt.date(1899, 12, 31)}, "purchased_on"),
    ({"warranty_until": YESTERDAY}, "warranty_until"),
]


@pytest.mark.parametrize(("said", "field"), INVALID)
def test_what_can_not_be_is_named_and_changes_nothing(portfolio, said, field):
    receipt = make_receipt(portfolio)
    before = list(Receipt.objects.values())
    facts = receipt_facts(portfolio, **said)

    with pytest.raises(InvalidInput) as refused:
        operations.create_receipt(facts=facts, at=AT)
    assert refused.value.field == field
    with pytest.raises(InvalidInput) as refused:
        operations.update_receipt(receipt_id=receipt.id, facts=facts, at=AT)
    assert refused.value.field == field
    assert list(Receipt.objects.values()) == before


def test_today_is_the_portfolios(database):
    with tenant(make_tenant().id):
        west, east = make_portfolio(time_zone="Pacific/Honolulu"), make_portfolio(time_zone="Australia/Sydney")

        make_receipt(east, purchased_on=TODAY)
        with pytest.raises(InvalidInput):
            make_receipt(west, purchased_on=TODAY)


def test_receipt_is_of_a_portfolio_and_its_own_transactions(portfolio):
    elsewhere = make_transaction(make_asset(make_portfolio()))

    with pytest.raises(Transaction.DoesNotExist):
        make_receipt(portfolio, transaction_id=elsewhere.id)
    with pytest.raises(Portfolio.DoesNotExist):
        make_receipt(Portfolio())
    assert Receipt.objects.count() == 0


def _import(asset, external_id, **said):
    imported = core.ImportedTransaction(
        external_id=external_id, asset_id=asset.id, booked_on=TODAY, amount=Decimal("-12.50"), description="x", **said
    )
    core.import_transactions(source="plaid", upserts=[imported], removed=[], at=AT)
    return Transaction.objects.get(external_id=external_id)


def test_receipt_follows_a_pending_transaction_and_outlives_one_taken_back(portfolio):
    asset = make_asset(portfolio)
    pending = _import(asset, "pending", pending=True)
    receipt = make_receipt(portfolio, transaction_id=pending.id)

    posted = _import(asset, "posted", replaces="pending")
    assert queries.get_receipt(receipt_id=receipt.id).transaction_id == posted.id

    core.import_transactions(source="plaid", upserts=[], removed=["posted"], at=AT)
    assert Transaction.objects.count() == 0
    assert queries.get_receipt(receipt_id=receipt.id).transaction_id is None


def test_writes_are_audited_and_the_same_again_is_not(portfolio):
    receipt = make_receipt(portfolio, category="Tools")
    facts = receipt_facts(portfolio, tax_included=Decimal("1.14"))
    for _ in range(2):
        updated = operations.update_receipt(receipt_id=receipt.id, facts=facts, at=AT)
    operations.delete_receipt(receipt_id=receipt.id, at=AT)

    assert (updated.category, updated.tax_included) == ("", Decimal("1.14"))
    events = AuditEvent.objects.filter(subject="receipt", subject_id=receipt.id).values_list("action", "details")
    assert sorted(events, key=lambda each: each[0]) == [
        ("create", {"merchant": "Tool Shed"}),
        ("delete", {"merchant": "Tool Shed"}),
        ("update", {"changed": ["category", "tax_included"]}),
    ]
    with pytest.raises(Receipt.DoesNotExist):
        operations.delete_receipt(receipt_id=receipt.id, at=AT)
    with pytest.raises(Receipt.DoesNotExist):
        operations.update_receipt(receipt_id=receipt.id, facts=facts, at=AT)


def test_categories_are_those_of_the_portfolio(portfolio):
    for category in ("Tools", "Garden", "", "Tools"):
        make_receipt(portfolio, category=category)
    make_receipt(make_portfolio(), category="Books")

    assert queries.categories(portfolio_id=portfolio.id) == ["Garden", "Tools"]

"""What imports and closing leave behind, also when they are repeated."""

import datetime as dt
from decimal import Decimal

import pytest

from services.core import operations
from services.core.models import Asset, AssetKind, Portfolio, Side, Transaction, Valuation
from services.core.operations import ImportedTransaction
from services.jobs.models import Job
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_tenant, set_value


@pytest.fixture
def scope(database):
    """Open a tenant's scope for the length of the test."""
    with tenant(make_tenant().id):
        yield


def import_all(*upserts, removed=()):
    operations.import_transactions(source="plaid", upserts=upserts, removed=removed, at=AT)


def imported(asset, external_id, **facts):
    defaults = {"booked_on": TODAY, "amount": Decimal("-12.50"), "description": "Groceries"}
    return ImportedTransaction(external_id=external_id, asset_id=asset.id, **{**defaults, **facts})


def rows():
    return sorted(Transaction.objects.values_list("external_id", "amount", "pending", "note"))


def test_same_page_again_changes_nothing(scope):
    asset = make_asset(make_portfolio())
    page = [imported(asset, "a"), imported(asset, "b", amount=Decimal("5.00"))]
    import_all(*page)
    Portfolio.objects.update(revalue_from=None)
    before = list(Transaction.objects.order_by("id").values())

    import_all(*page, removed=["never-seen"])

    assert list(Transaction.objects.order_by("id").values()) == before
    assert Portfolio.objects.get().revalue_from is None


def test_posted_transaction_keeps_the_note_of_the_pending_one(scope):
    asset = make_asset(make_portfolio())
    import_all(imported(asset, "pending", pending=True))
    row = Transaction.objects.get()
    operations.note_transaction(transaction_id=row.id, note="For the party")

    import_all(imported(asset, "posted", amount=Decimal("-13.00"), replaces="pending"), removed=["pending"])

    assert rows() == [("posted", Decimal("-13.0000"), False, "For the party")]
    assert Transaction.objects.get().id == row.id


def test_removed_transaction_is_gone_and_its_day_redone(scope):
    asset = make_asset(make_portfolio())
    import_all(imported(asset, "a", booked_on=dt.date(2026, 3, 1)), imported(asset, "b"))
    Portfolio.objects.update(revalue_from=None)

    import_all(removed=["a"])

    assert [row[0] for row in rows()] == ["b"]
    assert Portfolio.objects.get().revalue_from == dt.date(2026, 3, 1)


def test_history_is_redone_from_the_earliest_change(scope):
    asset = make_asset(make_portfolio())
    for day in (dt.date(2026, 3, 5), dt.date(2026, 3, 1), dt.date(2026, 3, 9)):
        set_value(asset, "1.00", on=day)

    assert Portfolio.objects.get().revalue_from == dt.date(2026, 3, 1)
    assert Job.objects.count() == 1


def test_balance_that_is_known_is_not_written_again(scope):
    asset = make_asset(make_portfolio())
    balances = {asset.id: Decimal("12.50")}
    operations.import_balances(balances=balances, source="plaid", on=TODAY, at=AT)
    later = AT + dt.timedelta(hours=1)

    operations.import_balances(balances=balances, source="plaid", on=TODAY, at=later)
    assert Valuation.objects.get().observed_at == AT
    operations.import_balances(balances={asset.id: Decimal("13.00")}, source="plaid", on=TODAY, at=later)

    assert (Valuation.objects.get().value, Valuation.objects.get().observed_at) == (Decimal("13.0000"), later)


def test_import_keeps_the_persons_name(scope):
    portfolio = make_portfolio()
    facts = {
        "portfolio_id": portfolio.id, "source": "plaid", "external_id": "1", "kind": AssetKind.LOAN, "side": Side.DEBT,
        "currency": "AUD", "institution": "Wattle Bank", "at": AT,
    }  # fmt: skip
    asset = operations.import_asset(name="HOME LN 42", **facts)
    operations.rename_asset(asset_id=asset.id, name="The house's loan", at=AT)

    again = operations.import_asset(name="HOME LN 42", **facts)

    assert (again.id, again.name) == (asset.id, "The house's loan")


def test_closed_asset_keeps_its_day_and_one_event(scope):
    portfolio = make_portfolio()
    first, second = make_asset(portfolio), make_asset(portfolio)
    operations.close_assets(asset_ids=[first.id], on=dt.date(2026, 3, 1), at=AT)

    for _ in range(2):
        operations.close_assets(asset_ids=[first.id, second.id], on=dt.date(2026, 3, 9), at=AT)

    days = dict(Asset.objects.values_list("id", "closed_on"))
    assert days == {first.id: dt.date(2026, 3, 1), second.id: dt.date(2026, 3, 9)}
    events = AuditEvent.objects.filter(action="close").order_by("at", "id")
    assert sorted(str(event.subject_id) for event in events) == sorted([str(first.id), str(second.id)])

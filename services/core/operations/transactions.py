"""The transactions, as a provider tells of them, and a person's notes on them."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from services.core import queries
from services.core.models import Transaction
from services.core.operations.portfolios import mark_assets_changed


@dataclass(frozen=True, slots=True)
class ImportedTransaction:
    """A transaction as a provider gives it. `amount` is positive for money in; `replaces`: its id while pending."""

    external_id: str
    asset_id: UUID
    booked_on: dt.date
    amount: Decimal
    description: str
    merchant: str = ""
    category: str = ""
    pending: bool = False
    replaces: str | None = None


def import_transactions(
    *, source: str, upserts: Iterable[ImportedTransaction], removed: Collection[str], at: dt.datetime
) -> None:
    """Write one page of a provider's changes; the same page again changes nothing.

    A posted transaction takes over the row of the pending one that it replaces, with the person's note on it.
    """
    wanted = {each.external_id: each for each in upserts}
    mine = Transaction.objects.filter(source=source)
    before = {row.external_id: row for row in mine.filter(external_id__in=[*wanted, *removed])}
    for each in wanted.values():
        if each.replaces and each.external_id not in before:
            pending = mine.filter(external_id=each.replaces).first()
            if pending:
                mine.filter(id=pending.id).update(external_id=each.external_id)
                before[each.external_id] = pending
                before.pop(each.replaces, None)  # the provider also says that it is removed: under that id, it is
    news = [each for each in wanted.values() if _differs(before.get(each.external_id), each)]
    gone = [before[each] for each in removed if each in before and each not in wanted]
    mine.filter(id__in=[row.id for row in gone]).delete()
    Transaction.objects.bulk_create(
        [
            Transaction(source=source, created_at=at, **{name: getattr(each, name) for name in _IMPORTED})
            for each in news
        ],
        update_conflicts=True,
        unique_fields=["tenant", "source", "external_id"],
        update_fields=_IMPORTED,
    )
    touched: list[ImportedTransaction | Transaction] = [
        *news,
        *gone,
        *(before[each.external_id] for each in news if each.external_id in before),
    ]
    first_day: dict[UUID, dt.date] = {}
    for row in touched:
        first_day[row.asset_id] = min(row.booked_on, first_day.get(row.asset_id, row.booked_on))
    mark_assets_changed(first_day, at=at)


_IMPORTED = ["external_id", "asset_id", "booked_on", "amount", "description", "merchant", "category", "pending"]


def _differs(row: Transaction | None, wanted: ImportedTransaction) -> bool:
    return row is None or any(getattr(row, name) != getattr(wanted, name) for name in _IMPORTED)


def note_transaction(*, transaction_id: UUID, note: str) -> Transaction:
    """Keep the person's note on a transaction; an import never touches it.

    Raises:
        Transaction.DoesNotExist: not this tenant's.
    """
    row = queries.shown_transactions().select_for_update(no_key=True, of=("self",)).get(id=transaction_id)
    row.note = note
    row.save(update_fields=["note"])
    return row

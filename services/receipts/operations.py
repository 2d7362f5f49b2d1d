"""Writing receipts."""

import datetime as dt
from dataclasses import asdict, dataclass
from decimal import Decimal
from uuid import UUID

from fatfire.kit.batches import delete_some
from fatfire.kit.clock import local_date, require_day
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import require_amount, require_currency
from services.core import operations as core_operations
from services.core import queries as core
from services.core.queries import TransactionFilter
from services.receipts import queries
from services.receipts.models import Receipt
from tenants import audit
from tenants.conflicts import conflict_means

# What other services may name: of this one they may import only operations, queries and jobs.
__all__ = ["Receipt"]


class TransactionHasReceipt(DomainError):
    """Another receipt is linked to this transaction."""

    code = "transaction_has_receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFacts:
    """All that a person says of a receipt; each field means what the model's of the same name does."""

    portfolio_id: UUID
    merchant: str
    purchased_on: dt.date
    currency: str
    total: Decimal
    tax_included: Decimal | None = None
    category: str = ""
    transaction_id: UUID | None = None
    warranty_until: dt.date | None = None
    note: str = ""


def create_receipt(*, facts: ReceiptFacts, at: dt.datetime) -> Receipt:
    """Record a receipt of the open scope's tenant.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is.
        Transaction.DoesNotExist: not of the portfolio.
        TransactionHasReceipt: another receipt has the transaction.
        InvalidInput: an amount, a day or the currency can't be; it names the field.
    """
    _require_valid(facts, at)
    with conflict_means("receipts_receipt_one_per_transaction", TransactionHasReceipt):
        receipt = Receipt.objects.create(**asdict(facts), created_at=at)
    audit.record(action="create", subject="receipt", subject_id=receipt.id, at=at, merchant=receipt.merchant)
    return receipt


def update_receipt(*, receipt_id: UUID, facts: ReceiptFacts, at: dt.datetime) -> Receipt:
    """Replace all that is said of the receipt; repeatable: the same facts again change nothing and leave no event.

    Raises:
        Receipt.DoesNotExist: not this tenant's.
        Portfolio.DoesNotExist, Transaction.DoesNotExist, TransactionHasReceipt, InvalidInput: as for `create_receipt`.
    """
    receipt = queries.list_receipts().select_for_update(no_key=True, of=("self",)).get(id=receipt_id)
    _require_valid(facts, at)
    changed = {name: value for name, value in asdict(facts).items() if getattr(receipt, name) != value}
    if not changed:
        return receipt
    with conflict_means("receipts_receipt_one_per_transaction", TransactionHasReceipt):
        Receipt.objects.filter(id=receipt_id).update(**changed)
    audit.record(action="update", subject="receipt", subject_id=receipt_id, at=at, changed=sorted(changed))
    return Receipt.objects.get(id=receipt_id)


def delete_receipt(*, receipt_id: UUID, at: dt.datetime) -> None:
    """Remove a receipt; its transaction stays.

    Raises:
        Receipt.DoesNotExist: not this tenant's.
    """
    receipt = queries.list_receipts().select_for_update(of=("self",)).get(id=receipt_id)
    receipt.delete()
    audit.record(action="delete", subject="receipt", subject_id=receipt_id, at=at, merchant=receipt.merchant)


def delete_receipts(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the receipts of a portfolio that is being deleted, and return how many."""
    return delete_some(Receipt.objects.filter(portfolio_id=portfolio_id), limit=limit)


def _require_valid(facts: ReceiptFacts, at: dt.datetime) -> None:
    portfolio = core_operations.hold_portfolio(portfolio_id=facts.portfolio_id)
    if facts.transaction_id is not None:
        own = core.list_transactions(wanted=TransactionFilter(portfolio_id=facts.portfolio_id))
        own.get(id=facts.transaction_id)
    require_day(facts.purchased_on, latest=local_date(at, portfolio.time_zone), field="purchased_on")
    if facts.warranty_until is not None and facts.warranty_until < facts.purchased_on:
        msg = "Not before the day of the purchase."
        raise InvalidInput(msg, field="warranty_until")
    _require_amounts(facts)


def _require_amounts(facts: ReceiptFacts) -> None:
    currency = require_currency(facts.currency)
    if require_amount(facts.total, currency, field="total") <= 0:
        msg = "More than zero."
        raise InvalidInput(msg, field="total")
    if facts.tax_included is None:
        return
    if not 0 <= require_amount(facts.tax_included, currency, field="tax_included") <= facts.total:
        msg = "From zero to the total."
        raise InvalidInput(msg, field="tax_included")

"""For the guard of the isolation: a receipt, on a transaction."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db.models import Model

from services.core.models import Portfolio
from services.receipts.models import Receipt
from services.receipts.operations import ReceiptFacts, create_receipt
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_transaction


def receipt_facts(portfolio: Portfolio, **said: Any) -> ReceiptFacts:
    """Return facts that are valid as they are, but for what is said."""
    facts = ReceiptFacts(
        portfolio_id=portfolio.id, merchant="Tool Shed", purchased_on=TODAY, currency="AUD", total=Decimal("12.50")
    )
    return replace(facts, **said)


def make_receipt(portfolio: Portfolio, **said: Any) -> Receipt:
    return create_receipt(facts=receipt_facts(portfolio, **said), at=AT)


def _on_transaction() -> Receipt:
    transaction = make_transaction(make_asset(make_portfolio()))
    return make_receipt(transaction.asset.portfolio, transaction_id=transaction.id)


ROWS: dict[str, Callable[[], Model]] = {"receipts.Receipt": _on_transaction}

"""What the API takes and gives for receipts. Money is exact text, its currency beside it."""

import datetime as dt
from typing import Annotated, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.money import to_text
from fatfire.kit.schemas import Amount, AmountText, Body, CurrencyCode, Day
from services.receipts.models import Receipt
from services.receipts.operations import ReceiptFacts


class ReceiptIn(Body):
    """A receipt, whole. The currency is the portfolio's where it is left out; `tax_included` is part of the total."""

    portfolio_id: UUID
    merchant: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    purchased_on: Day
    currency: CurrencyCode | None = None
    total: Amount
    tax_included: Amount | None = None
    category: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    transaction_id: UUID | None = None
    warranty_until: Day | None = None
    note: str = Field("", max_length=500)

    def facts(self, *, currency: str) -> ReceiptFacts:
        """Return what is said of the receipt; `currency` where the client left it out."""
        return ReceiptFacts(**{**self.model_dump(), "currency": self.currency or currency})


class ReceiptOut(Schema):
    """A receipt; its amounts are positive."""

    id: UUID
    portfolio_id: UUID
    merchant: str
    purchased_on: dt.date
    currency: CurrencyCode
    total: AmountText
    tax_included: AmountText | None
    category: str
    transaction_id: UUID | None
    warranty_until: dt.date | None
    note: str
    created_at: dt.datetime

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return what is shown of the receipt."""
        tax = receipt.tax_included
        return cls(
            id=receipt.id,
            portfolio_id=receipt.portfolio_id,
            merchant=receipt.merchant,
            purchased_on=receipt.purchased_on,
            currency=receipt.currency,
            total=to_text(receipt.total, receipt.currency),
            tax_included=None if tax is None else to_text(tax, receipt.currency),
            category=receipt.category,
            transaction_id=receipt.transaction_id,
            warranty_until=receipt.warranty_until,
            note=receipt.note,
            created_at=receipt.created_at,
        )

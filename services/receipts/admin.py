"""The console's page of receipts."""

from typing import Any

from django.contrib import admin
from unfold.contrib.filters.admin import RangeDateFilter

from fatfire.kit.clock import now
from services.receipts import operations
from services.receipts.models import Receipt
from services.receipts.operations import ReceiptFacts
from tenants.writable_admin import WritableAdmin


@admin.register(Receipt)
class ReceiptAdmin(WritableAdmin):
    """Receipts."""

    list_display = ("merchant", "purchased_on", "total", "currency", "category", "warranty_until")
    list_filter = (("purchased_on", RangeDateFilter),)
    search_fields = ("merchant", "category")
    ordering = ("-purchased_on", "-id")
    raw_id_fields = ("portfolio", "transaction")
    fields = (
        "portfolio", "merchant", "purchased_on", "currency", "total", "tax_included", "category", "transaction",
        "warranty_until", "note",
    )  # fmt: skip

    def write(self, row: Receipt | None, values: dict[str, Any]) -> Receipt:
        """Create or update the receipt."""
        said = {name: value for name, value in values.items() if name not in {"portfolio", "transaction"}}
        transaction = values["transaction"]
        facts = ReceiptFacts(portfolio_id=values["portfolio"].id, transaction_id=transaction and transaction.id, **said)
        if row is None:
            return operations.create_receipt(facts=facts, at=now())
        return operations.update_receipt(receipt_id=row.id, facts=facts, at=now())

"""Receipts."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from fatfire.kit import clock
from fatfire.kit.money import MoneyField, optional_money_field
from tenants.models import SameTenant, TenantForeignKey, TenantModel


class Receipt(TenantModel):
    """What a merchant says was bought and paid. Its amounts are what the paper says, positive, in its own currency."""

    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.PROTECT)
    # What paid it. A bank takes transactions back, pending ones above all; the receipt stays.
    transaction = TenantForeignKey("core.Transaction", on_delete=models.SET_NULL, null=True)
    merchant = models.CharField(max_length=120)
    purchased_on = models.DateField()
    currency = models.CharField(max_length=3)
    total = MoneyField()  # with the tax
    tax_included = optional_money_field()  # GST, VAT or sales tax in the total; NULL: not known
    category = models.CharField(max_length=60, blank=True)
    warranty_until = models.DateField(null=True)  # the last day of it
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            SameTenant("transaction"),
            # With two, the same payment would be claimed twice. Also finds the receipt of a transaction.
            models.UniqueConstraint(fields=["tenant", "transaction"], name="receipts_receipt_one_per_transaction"),
            models.CheckConstraint(condition=~Q(merchant=""), name="receipts_receipt_merchant_named"),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z]{3}$"), name="receipts_receipt_currency_is_a_code"
            ),
            models.CheckConstraint(condition=Q(total__gt=0), name="receipts_receipt_total_is_positive"),
            models.CheckConstraint(
                condition=Q(tax_included__gte=0, tax_included__lte=F("total")), name="receipts_receipt_tax_within_total"
            ),
            models.CheckConstraint(
                condition=Q(warranty_until__gte=F("purchased_on")), name="receipts_receipt_warranty_after_purchase"
            ),
        ]
        indexes: ClassVar = [
            # The receipts of a tenant, or of one of its portfolios, newest first.
            models.Index(fields=["tenant", "-purchased_on", "-id"], name="receipts_receipt_newest"),
            models.Index(fields=["tenant", "portfolio", "-purchased_on", "-id"], name="receipts_receipt_of_portfolio"),
        ]

    def __str__(self) -> str:
        return f"{self.purchased_on} {self.merchant}"

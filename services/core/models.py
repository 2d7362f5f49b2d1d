"""Portfolios, the assets and debts in them, what these are worth on a date, and what moved."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from fatfire.kit import clock
from fatfire.kit.money import MoneyField
from tenants.models import SameTenant, TenantForeignKey, TenantModel

MANUAL = "manual"
"""The `source` of what a person entered."""


class Portfolio(TenantModel):
    """Things whose worth is added up, in one currency, in days of one time zone."""

    name = models.CharField(max_length=80)
    currency = models.CharField(max_length=3)
    time_zone = models.CharField(max_length=64)
    revalue_from = models.DateField(null=True)  # the first day whose worth must be worked out again; history clears it
    # Since when it is being deleted: shown nowhere and added to by nobody, until the job has taken all that is in it.
    deleting_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                F("tenant"), Lower("name"), condition=Q(deleting_since__isnull=True), name="core_portfolio_name_once"
            ),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="core_portfolio_currency_is_a_code"),
        ]
        indexes: ClassVar = [
            # What the rollup must do again, across tenants.
            models.Index(
                fields=["revalue_from"], condition=Q(revalue_from__isnull=False), name="core_portfolio_changed"
            ),
            # A tenant's portfolios, oldest first.
            models.Index(fields=["tenant", "created_at", "id"], name="core_portfolio_oldest"),
        ]

    def __str__(self) -> str:
        return self.name


class AssetKind(models.TextChoices):
    """What an asset is."""

    BANK_ACCOUNT = "bank_account"
    CREDIT_CARD = "credit_card"
    LOAN = "loan"
    SUPERANNUATION = "superannuation"
    SHARE = "share"
    PROPERTY = "property"
    VEHICLE = "vehicle"
    OTHER = "other"


class Side(models.TextChoices):
    """Whether it is normally owned or owed. Totals go by the sign of the value: an overdraft is a debt of that day."""

    ASSET = "asset"
    DEBT = "debt"


class Asset(TenantModel):
    """Something owned or owed: an account, a property, a loan. Its values and transactions are in its own currency."""

    portfolio = TenantForeignKey(Portfolio, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=AssetKind.choices)
    side = models.CharField(max_length=5, choices=Side.choices)
    currency = models.CharField(max_length=3)
    institution = models.CharField(max_length=120, blank=True)
    source = models.CharField(max_length=20, default=MANUAL)
    external_id = models.CharField(max_length=120, null=True)  # noqa: DJ001  # NULL: not from outside, and not unique
    closed_on = models.DateField(null=True)  # not counted from this day on
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            models.UniqueConstraint(fields=["tenant", "source", "external_id"], name="core_asset_imported_once"),
            models.CheckConstraint(
                condition=Q(source=MANUAL) ^ Q(external_id__isnull=False), name="core_asset_manual_or_imported"
            ),
            models.CheckConstraint(condition=Q(kind__in=AssetKind.values), name="core_asset_kind_known"),
            models.CheckConstraint(condition=Q(side__in=Side.values), name="core_asset_side_known"),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="core_asset_currency_is_a_code"),
        ]
        indexes: ClassVar = [
            # The assets of a portfolio, oldest first; and the rollup.
            models.Index(fields=["tenant", "portfolio", "created_at", "id"], name="core_asset_of_portfolio"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_manual(self) -> bool:
        """Whether a person keeps it by hand."""
        return self.source == MANUAL


class Valuation(TenantModel):
    """What an asset was worth at the end of a day: a bank's balance or a person's estimate. Debts are ≤ 0."""

    asset = TenantForeignKey(Asset, on_delete=models.CASCADE)
    on = models.DateField()
    value = MoneyField()
    source = models.CharField(max_length=20, default=MANUAL)
    observed_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("asset"),
            # Also finds the newest value on or before a day.
            models.UniqueConstraint(fields=["tenant", "asset", "on"], name="core_valuation_one_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.asset_id} {self.on} {self.value}"


class Transaction(TenantModel):
    """Money that moved on one asset: positive is in, negative is out. Pending ones don't move the balance yet."""

    asset = TenantForeignKey(Asset, on_delete=models.CASCADE)
    source = models.CharField(max_length=20, default=MANUAL)
    external_id = models.CharField(max_length=120, null=True)  # noqa: DJ001  # NULL: entered by hand, and not unique
    booked_on = models.DateField()  # the bank's calendar day
    amount = MoneyField()
    description = models.CharField(max_length=300)
    merchant = models.CharField(max_length=120, blank=True)
    category = models.CharField(max_length=60, blank=True)
    note = models.CharField(max_length=500, blank=True)  # the person's own; an import never touches it
    pending = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("asset"),
            models.UniqueConstraint(fields=["tenant", "source", "external_id"], name="core_transaction_imported_once"),
            models.CheckConstraint(
                condition=Q(source=MANUAL) ^ Q(external_id__isnull=False), name="core_transaction_manual_or_imported"
            ),
        ]
        indexes: ClassVar = [
            # A tenant's newest transactions, page by page.
            models.Index(fields=["tenant", "-booked_on", "-id"], name="core_transaction_newest"),
            # One asset's, page by page; and their sums in the rollup.
            models.Index(fields=["tenant", "asset", "-booked_on", "-id"], name="core_transaction_of_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.booked_on} {self.amount} {self.description}"

"""Worth by day: of each asset in its own currency, of each portfolio in the portfolio's, and how far the rollup got."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from fatfire.kit.money import MoneyField
from tenants.constraints import SameTenant, TenantIsolation
from tenants.models import TenantForeignKey, TenantModel


class AssetDay(TenantModel):
    """What an asset was worth at the end of a day, in its own currency."""

    id = None  # type: ignore[assignment]  # the natural key is shorter, and what every query asks by
    pk = models.CompositePrimaryKey("tenant", "asset", "day")
    asset = TenantForeignKey("core.Asset", on_delete=models.CASCADE)
    day = models.DateField()
    value = MoneyField()
    estimated = models.BooleanField()  # worked back from a later value, or cut to what MoneyField holds

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [TenantIsolation(), SameTenant("asset")]

    def __str__(self) -> str:
        return f"{self.asset_id} {self.day} {self.value}"


class PortfolioDay(TenantModel):
    """What a portfolio was worth at the end of a day of its time zone, in its currency. Net worth is assets + debts."""

    id = None  # type: ignore[assignment]  # as above
    pk = models.CompositePrimaryKey("tenant", "portfolio", "day")
    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.CASCADE)
    day = models.DateField()
    currency = models.CharField(max_length=3)
    assets = MoneyField()
    debts = MoneyField()
    estimated = models.BooleanField()  # a value was worked back, or a rate was old or of a later day
    missing = models.PositiveSmallIntegerField()  # assets left out, since their value or rate isn't known

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            TenantIsolation(),
            SameTenant("portfolio"),
            models.CheckConstraint(condition=Q(assets__gte=0) & Q(debts__lte=0), name="history_signs"),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.day} {self.assets} {self.debts}"


class RollupState(TenantModel):
    """How far a portfolio's history is rolled up, and with which rates."""

    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.CASCADE)
    rolled_to = models.DateField()  # the last day with rows
    rates_load = models.PositiveIntegerField()  # the newest load of rates that was known then; 0: none

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            models.UniqueConstraint(fields=["tenant", "portfolio"], name="history_one_state_per_portfolio"),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio_id} to {self.rolled_to}"

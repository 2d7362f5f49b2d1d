"""The console's pages of portfolios, assets, their values and transactions: to look at, never to change."""

from django.contrib import admin
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateFilter

from services.core.models import Asset, Portfolio, Transaction, Valuation
from tenants.admin import LongTableAdmin, TenantRowAdmin


@admin.register(Portfolio)
class PortfolioAdmin(TenantRowAdmin):
    """Portfolios."""

    list_display = ("name", "currency", "time_zone", "created_at", "deleting_since")
    search_fields = ("name",)
    ordering = ("-created_at", "-id")


@admin.register(Asset)
class AssetAdmin(TenantRowAdmin):
    """Assets and debts."""

    list_display = ("name", "kind", "side", "currency", "institution", "source", "closed_on", "created_at")
    list_filter = (("kind", ChoicesDropdownFilter), ("side", ChoicesDropdownFilter))
    search_fields = ("name", "institution")
    ordering = ("-created_at", "-id")


@admin.register(Valuation)
class ValuationAdmin(LongTableAdmin):
    """What assets were worth."""

    list_display = ("on", "asset", "value", "source", "observed_at")
    list_filter = (("on", RangeDateFilter),)
    list_select_related = ("tenant", "asset")
    ordering = ("-on", "-id")


@admin.register(Transaction)
class TransactionAdmin(LongTableAdmin):
    """What moved."""

    list_display = ("booked_on", "asset", "amount", "description", "pending", "source")
    list_filter = (("booked_on", RangeDateFilter), ("pending", BooleanRadioFilter))
    list_select_related = ("tenant", "asset")
    ordering = ("-booked_on", "-id")

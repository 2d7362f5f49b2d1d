"""The console's page of policies."""

from typing import Any

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from fatfire.kit.clock import now
from services.insurance import operations
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from services.insurance.operations import PolicyFacts
from tenants.writable_admin import WritableAdmin


@admin.register(Policy)
class PolicyAdmin(WritableAdmin):
    """Insurance policies."""

    list_display = ("kind", "insurer", "number", "currency", "premium", "premium_frequency", "starts_on", "ends_on")
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("insurer", "number", "person_name")
    ordering = ("-created_at", "-id")
    raw_id_fields = ("portfolio", "asset")
    fields = (
        "portfolio", "asset", "kind", "insurer", "number", "person_name", "currency", "premium", "premium_frequency",
        "sum_insured", "excess", "starts_on", "ends_on", "renews_automatically", "cancelled_on", "note",
    )  # fmt: skip

    def write(self, row: Policy | None, values: dict[str, Any]) -> Policy:
        """Create or update the policy."""
        said = {name: value for name, value in values.items() if name not in {"portfolio", "asset"}}
        said["kind"], said["premium_frequency"] = PolicyKind(said["kind"]), PremiumFrequency(said["premium_frequency"])
        asset = values["asset"]
        facts = PolicyFacts(portfolio_id=values["portfolio"].id, asset_id=asset and asset.id, **said)
        if row is None:
            return operations.create_policy(facts=facts, at=now())
        return operations.update_policy(policy_id=row.id, facts=facts, at=now())

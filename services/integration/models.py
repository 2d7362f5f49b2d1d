"""Links to banks and the accounts that came through them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from fatfire.kit import clock
from tenants.models import SameTenant, TenantForeignKey, TenantModel


class LinkState(models.TextChoices):
    """Where a link is."""

    PENDING = "pending"  # created; the person has not come back from the bank
    ACTIVE = "active"
    REVOKED = "revoked"  # the bank wants a new sign-in
    REMOVED = "removed"


class Link(TenantModel):
    """A person's consent at one institution, through one provider. Its tokens are encrypted (tenants.encryption)."""

    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.PROTECT)
    provider = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=LinkState.choices, default=LinkState.PENDING)
    link_token = models.BinaryField(null=True)  # asks the provider how the person's visit to the bank went
    institution_id = models.CharField(max_length=60, blank=True)
    institution = models.CharField(max_length=120, blank=True)
    item_id = models.CharField(max_length=120, null=True)  # noqa: DJ001  # NULL: pending, and not unique
    access_token = models.BinaryField(null=True)
    cursor = models.CharField(max_length=500, blank=True)  # how far the transactions are imported
    synced_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            models.UniqueConstraint(fields=["tenant", "provider", "item_id"], name="integration_link_item_once"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "removed"]) | Q(item_id__isnull=False, access_token__isnull=False),
                name="integration_link_in_use_has_a_token",
            ),
        ]
        indexes: ClassVar = [
            # A tenant's links, oldest first.
            models.Index(fields=["tenant", "created_at", "id"], name="integration_link_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.institution or self.provider} {self.state}"


class LinkedAccount(TenantModel):
    """An account at the bank and the asset that mirrors it."""

    link = TenantForeignKey(Link, on_delete=models.PROTECT)
    asset = TenantForeignKey("core.Asset", on_delete=models.CASCADE)
    external_id = models.CharField(max_length=120)
    mask = models.CharField(max_length=10, blank=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("link"),
            SameTenant("asset"),
            models.UniqueConstraint(fields=["tenant", "link", "external_id"], name="integration_account_once"),
            models.UniqueConstraint(fields=["tenant", "asset"], name="integration_account_per_asset"),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} …{self.mask}"

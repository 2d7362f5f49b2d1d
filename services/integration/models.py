"""Links to banks and the accounts that came through them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from fatfire.kit import clock
from fatfire.kit.money import MINOR_DIGITS
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
    counts_twins = models.BooleanField(default=False, db_default=False)  # a person said that they are other accounts
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
            # Those that were begun and never finished, across tenants.
            models.Index(fields=["created_at"], condition=Q(state="pending"), name="integration_link_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.institution or self.provider} {self.state}"


class LeftOut(models.TextChoices):
    """Why an account isn't counted."""

    CURRENCY = "currency"  # the bank tells none that we know; a person may say which
    TWIN = "twin"  # another link of the portfolio brings the same account


class LinkedAccount(TenantModel):
    """An account at the bank and the asset that mirrors it; one without an asset is left out of everything.

    `identity` names the account itself, whichever link tells of it. One row holds it at a time, so that no account is
    counted twice; NULL where the account is left out, can't be told from others, or is to count whatever it is.
    """

    link = TenantForeignKey(Link, on_delete=models.PROTECT)
    asset = TenantForeignKey("core.Asset", on_delete=models.CASCADE, null=True)
    external_id = models.CharField(max_length=120)
    identity = models.CharField(max_length=260, null=True)  # noqa: DJ001  # NULL: not unique
    name = models.CharField(max_length=120, blank=True, db_default="")  # at the bank
    kind = models.CharField(max_length=20, blank=True, db_default="")
    mask = models.CharField(max_length=10, blank=True)
    currency = models.CharField(max_length=3, blank=True, db_default="")  # as the bank last told it; empty: never

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("link"),
            SameTenant("asset"),
            models.UniqueConstraint(fields=["tenant", "link", "external_id"], name="integration_account_once"),
            models.UniqueConstraint(fields=["tenant", "asset"], name="integration_account_per_asset"),
            models.UniqueConstraint(fields=["tenant", "identity"], name="integration_account_counted_once"),
            models.CheckConstraint(
                condition=Q(identity__isnull=True) | Q(asset__isnull=False), name="integration_account_counted_is_kept"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} …{self.mask}"

    @property
    def left_out(self) -> LeftOut | None:
        """Why the account isn't counted; None: it is."""
        if self.asset_id is not None:
            return None
        return LeftOut.TWIN if self.currency in MINOR_DIGITS else LeftOut.CURRENCY

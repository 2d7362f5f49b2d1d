"""The console's pages of links to banks: their state, never their tokens."""

from typing import ClassVar

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from services.integration.models import Link, LinkedAccount, LinkState
from tenants.admin import TenantRowAdmin

STATE_COLOURS = {
    LinkState.PENDING: "info",
    LinkState.ACTIVE: "success",
    LinkState.REVOKED: "danger",
    LinkState.REMOVED: "default",
}


@admin.register(Link)
class LinkAdmin(TenantRowAdmin):
    """Consents at banks."""

    list_display = ("named", "state_label", "provider", "synced_at", "created_at")
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("institution",)
    ordering = ("-created_at", "-id")
    unshown: ClassVar[tuple[str, ...]] = ("cursor",)

    @display(description="Bank", ordering="institution")
    def named(self, link: Link) -> str:
        """Return the bank's name; a pending link has none yet."""
        return link.institution or "not chosen yet"

    @display(description="State", ordering="state", label=STATE_COLOURS)
    def state_label(self, link: Link) -> tuple[str, str]:
        """Return the state with its colour."""
        return link.state, link.get_state_display()


@admin.register(LinkedAccount)
class LinkedAccountAdmin(TenantRowAdmin):
    """Accounts that came through links."""

    list_display = ("asset", "link", "mask")
    list_select_related = ("tenant", "asset", "link")
    ordering = ("-id",)

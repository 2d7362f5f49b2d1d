"""Reading the links to banks, in the open scope."""

from uuid import UUID

from django.db.models import QuerySet

from services.core import queries as core
from services.integration.models import Link, LinkedAccount, LinkState


def list_links() -> QuerySet[Link]:
    """Return the links of the tenant's portfolios, those that were removed too."""
    return Link.objects.filter(portfolio__in=core.list_portfolios())


def links_to_end(*, portfolio_id: UUID) -> list[UUID]:
    """Return the portfolio's links that were not removed, whether it is shown or being deleted."""
    links = Link.objects.filter(portfolio_id=portfolio_id).exclude(state=LinkState.REMOVED)
    return list(links.order_by("created_at", "id").values_list("id", flat=True))


def get_link(*, link_id: UUID) -> Link:
    """Return one link.

    Raises:
        Link.DoesNotExist: not this tenant's, or its portfolio is being deleted.
    """
    return list_links().get(id=link_id)


def list_linked_accounts(*, portfolio_id: UUID | None = None, link_id: UUID | None = None) -> QuerySet[LinkedAccount]:
    """Return the accounts that came into the portfolio or through the link, those that are left out too."""
    accounts = LinkedAccount.objects.filter(link__in=list_links())
    if portfolio_id is not None:
        accounts = accounts.filter(link__portfolio_id=portfolio_id)
    return accounts if link_id is None else accounts.filter(link_id=link_id)


def get_linked_account(*, account_id: UUID) -> LinkedAccount:
    """Return one account at a bank, with its link and its asset.

    Raises:
        LinkedAccount.DoesNotExist: not this tenant's, or its portfolio is being deleted.
    """
    return list_linked_accounts().select_related("link", "asset").get(id=account_id)


def revoked_link_count() -> int:
    """Return how many links wait for their person to consent anew at the bank."""
    return Link.objects.filter(state=LinkState.REVOKED).count()

"""Reading the links to banks, in the open scope."""

from uuid import UUID

from django.db.models import QuerySet

from services.integration.models import Link, LinkedAccount, LinkState


def list_links() -> QuerySet[Link]:
    """Return the tenant's links, those that were removed too."""
    return Link.objects.all()


def get_link(*, link_id: UUID) -> Link:
    """Return one link.

    Raises:
        Link.DoesNotExist: not this tenant's.
    """
    return Link.objects.get(id=link_id)


def list_linked_accounts(*, portfolio_id: UUID) -> QuerySet[LinkedAccount]:
    """Return the accounts that came into the portfolio through links; each asset has one at most."""
    return LinkedAccount.objects.filter(link__portfolio_id=portfolio_id)


def revoked_link_count() -> int:
    """Return how many links wait for their person to consent anew at the bank."""
    return Link.objects.filter(state=LinkState.REVOKED).count()

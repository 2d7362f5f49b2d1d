"""Reading the links to banks, in the open scope."""

from uuid import UUID

from django.db.models import QuerySet

from services.integration.models import Link


def list_links() -> QuerySet[Link]:
    """Return the tenant's links, those that were removed too."""
    return Link.objects.all()


def get_link(*, link_id: UUID) -> Link:
    """Return one link.

    Raises:
        Link.DoesNotExist: not this tenant's.
    """
    return Link.objects.get(id=link_id)

"""Reading receipts, in the open scope. Lists come as querysets in no order, to be paginated."""

from uuid import UUID

from django.db.models import QuerySet

from services.core import queries as core
from services.receipts.models import Receipt


def list_receipts(*, portfolio_id: UUID | None = None) -> QuerySet[Receipt]:
    """Return the tenant's receipts, of one portfolio where it is given."""
    receipts = Receipt.objects.filter(portfolio__in=core.list_portfolios())
    return receipts if portfolio_id is None else receipts.filter(portfolio_id=portfolio_id)


def get_receipt(*, receipt_id: UUID) -> Receipt:
    """Return one receipt.

    Raises:
        Receipt.DoesNotExist: not this tenant's.
    """
    return list_receipts().get(id=receipt_id)


def categories(*, portfolio_id: UUID) -> list[str]:
    """Return the categories that the portfolio's receipts have, in the order of the alphabet."""
    used = list_receipts(portfolio_id=portfolio_id).exclude(category="")
    return list(used.order_by("category").values_list("category", flat=True).distinct())

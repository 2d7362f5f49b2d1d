"""Deleting many rows a few at a time."""

from typing import Any

from django.db.models import QuerySet


def delete_some(rows: QuerySet[Any, Any], *, limit: int) -> int:
    """Delete at most `limit` of the rows, in the open transaction; return how many.

    Fewer than `limit` means that none are left.
    """
    chosen = rows.model.objects.filter(pk__in=rows.order_by().values("pk")[:limit])
    deleted: int = chosen.delete()[1].get(rows.model._meta.label, 0)
    return deleted

"""Receipts over HTTP."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.core import queries as core
from services.receipts import operations, queries
from services.receipts.schemas import ReceiptIn, ReceiptOut

router = Router(tags=["Receipts"])

_NEWEST_FIRST = ("-purchased_on", "-id")


@router.get("/receipts", response=PageOf[ReceiptOut])
def list_receipts(request: HttpRequest, page: Query[PageQuery], portfolio_id: UUID | None = None) -> PageOf[ReceiptOut]:
    """List receipts, newest first."""
    rows = queries.list_receipts(portfolio_id=portfolio_id)
    found = paginate(rows, order=_NEWEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[ReceiptOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/receipts", response={201: ReceiptOut})
def create_receipt(request: HttpRequest, body: ReceiptIn) -> Status[ReceiptOut]:
    """Record a receipt."""
    currency = core.get_portfolio(portfolio_id=body.portfolio_id).currency
    receipt = operations.create_receipt(facts=body.facts(currency=currency), at=now())
    return Status(201, ReceiptOut.of(receipt))


@router.get("/receipts/{receipt_id}", response=ReceiptOut)
def get_receipt(request: HttpRequest, receipt_id: UUID) -> ReceiptOut:
    """Show a receipt."""
    return ReceiptOut.of(queries.get_receipt(receipt_id=receipt_id))


@router.put("/receipts/{receipt_id}", response=ReceiptOut)
def update_receipt(request: HttpRequest, receipt_id: UUID, body: ReceiptIn) -> ReceiptOut:
    """Replace all that is said of a receipt; it may be repeated."""
    currency = core.get_portfolio(portfolio_id=body.portfolio_id).currency
    receipt = operations.update_receipt(receipt_id=receipt_id, facts=body.facts(currency=currency), at=now())
    return ReceiptOut.of(receipt)


@router.delete("/receipts/{receipt_id}", response={204: None})
def delete_receipt(request: HttpRequest, receipt_id: UUID) -> Status[None]:
    """Remove a receipt; its transaction stays."""
    operations.delete_receipt(receipt_id=receipt_id, at=now())
    return Status(204, None)

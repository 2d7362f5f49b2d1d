"""For the API's guards: requests about receipts that succeed, and how their list gets rows."""

from collections.abc import Callable
from typing import Any

from tests.api.document import Request
from tests.factories import make_asset, make_portfolio, make_transaction
from tests.services.receipts.rows import make_receipt


def body(**said: Any) -> dict[str, Any]:
    """Return a body on a transaction of its own, with all that is said."""
    transaction = make_transaction(make_asset(make_portfolio()))
    ids = {"portfolio_id": transaction.asset.portfolio_id, "transaction_id": transaction.id}
    return {**ids, "merchant": "Tool Shed", "purchased_on": "2026-03-01", "total": "12.50", **said}


def _receipt(body: dict[str, Any] | None = None) -> Request:
    return Request(path={"receipt_id": make_receipt(make_portfolio()).id}, body=body)


def _list() -> tuple[Request, Callable[[], object]]:
    portfolio = make_portfolio()
    return Request(query={"portfolio_id": portfolio.id}), lambda: make_receipt(portfolio)


REQUESTS: dict[str, Callable[[], Request]] = {
    "list_receipts": lambda: Request(query={"portfolio_id": make_receipt(make_portfolio()).portfolio_id}),
    "create_receipt": lambda: Request(body=body(tax_included="1.14", category="Tools", warranty_until="2028-03-01")),
    "get_receipt": _receipt,
    "update_receipt": lambda: _receipt(body(note="For the shed")),
    "delete_receipt": _receipt,
}
LISTS = {"list_receipts": _list}

"""For the API's guards: a portfolio to delete, and one to keep after all."""

from collections.abc import Callable

from services.cleanup.operations import request_portfolio_deletion
from tests.api.document import Request
from tests.factories import AT, make_portfolio


def _restore() -> Request:
    portfolio = make_portfolio()
    request_portfolio_deletion(portfolio_id=portfolio.id, at=AT)
    return Request(path={"portfolio_id": portfolio.id})


REQUESTS: dict[str, Callable[[], Request]] = {
    "delete_portfolio": lambda: Request(path={"portfolio_id": make_portfolio().id}),
    "restore_portfolio": _restore,
}
LISTS: dict[str, Callable[[], object]] = {}

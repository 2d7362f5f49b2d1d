"""For the API's guards: requests about policies that succeed, and how their list gets rows."""

from collections.abc import Callable
from typing import Any

from tests.api.document import Request
from tests.factories import make_asset, make_portfolio
from tests.services.insurance.rows import make_policy


def body(**said: Any) -> dict[str, Any]:
    """Return a body on an asset of its own, with all that is said."""
    asset = make_asset(make_portfolio())
    required = {"kind": "home", "insurer": "Coastal Mutual", "premium": "118.40", "premium_frequency": "monthly"}
    ids = {"portfolio_id": asset.portfolio_id, "asset_id": asset.id}
    return {**required, **ids, "starts_on": "2026-03-01", **said}


def _policy(body: dict[str, Any] | None = None) -> Request:
    return Request(path={"policy_id": make_policy(make_portfolio()).id}, body=body)


def _list() -> tuple[Request, Callable[[], object]]:
    portfolio = make_portfolio()
    return Request(query={"portfolio_id": portfolio.id}), lambda: make_policy(portfolio)


REQUESTS: dict[str, Callable[[], Request]] = {
    "list_policies": lambda: Request(query={"portfolio_id": make_policy(make_portfolio()).portfolio_id}),
    "create_policy": lambda: Request(body=body(sum_insured="850000", excess="500.00", ends_on="2027-02-28")),
    "get_policy": _policy,
    "update_policy": lambda: _policy(body(cancelled_on="2026-04-01")),
    "delete_policy": _policy,
}
LISTS = {"list_policies": _list}

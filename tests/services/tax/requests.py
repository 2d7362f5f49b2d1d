"""For the API's guards: requests about tax years that succeed, and how their list gets rows."""

import itertools
from collections.abc import Callable
from typing import Any

from tests.api.document import Request
from tests.services.tax.rows import make_tax_year

_numbers = itertools.count(1)


def body(**said: Any) -> dict[str, Any]:
    """Return a body of a person of its own, with all that is said."""
    return {"person_name": f"Sam {next(_numbers)}", "jurisdiction": "AU", "starts_in": 2025, **said}


def _tax_year(body: dict[str, Any] | None = None) -> Request:
    return Request(path={"tax_year_id": make_tax_year().id}, body=body)


REQUESTS: dict[str, Callable[[], Request]] = {
    "list_tax_years": Request,
    "create_tax_year": lambda: Request(body=body(lodged_on="2026-08-03")),
    "get_tax_year": _tax_year,
    "update_tax_year": lambda: _tax_year(body(lodged_on="2026-08-03", assessed_on="2026-08-20", assessment="-312.55")),
    "delete_tax_year": _tax_year,
}
LISTS = {"list_tax_years": lambda: (Request(), make_tax_year)}

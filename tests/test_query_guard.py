"""The guard of the number of queries: it finds every list in the OpenAPI document by itself, and counts.

A list of three rows takes as many queries as a list of one, on all connections together, and few of them.
"""

import json
from contextlib import ExitStack

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from services.core import api as core_api
from services.core.models import Asset
from tenants.isolation import tenant
from tenants.models import Tenant
from tests.api.document import Operation, operations, resolved
from tests.api.requests import LISTS, list_for
from tests.factories import make_key, make_tenant

MOST_QUERIES = 10
"""Of one request, with its authentication, its invocation, the count of its key's requests, and the BEGIN and COMMIT of
its two transactions."""


def _rows_field(operation: Operation) -> str | None:
    """Return the name of the answer's list, when the operation gives one."""
    if operation.method != "GET":
        return None
    schema = resolved(operation.details["responses"]["200"]["content"]["application/json"]["schema"])
    return next((name for name in ("items", "days") if name in schema["properties"]), None)


FOUND = {operation.id: operation for operation in operations() if _rows_field(operation)}


def check_queries(operation: Operation, owner: Tenant, key: str) -> None:
    """Fail when more rows take more queries, or any number takes too many."""
    with tenant(owner.id):
        request, add = list_for(operation.id)
    counted = []
    rows = []
    for added in (1, 2):
        with tenant(owner.id):
            for _ in range(added):
                add()
        operation.send(request, key=key)  # so that the key's use is noted for this minute, and the key known
        with ExitStack() as stack:
            captured = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
            response = operation.send(request, key=key)
        assert response.status_code == 200, response.content
        rows.append(len(json.loads(response.content)[_rows_field(operation)]))
        counted.append([query["sql"] for each in captured for query in each])
    assert rows == [1, 3], f"{operation}: the rows in LISTS of tests/api/requests.py don't show"
    assert len(counted[0]) == len(counted[1]), f"{operation}, for three rows: {counted[1]}"
    assert len(counted[0]) <= MOST_QUERIES, f"{operation}: {counted[0]}"


@pytest.mark.parametrize("operation", FOUND.values(), ids=FOUND.keys())
def test_more_rows_take_no_more_queries(operation, database):
    owner = make_tenant()

    check_queries(operation, owner, make_key(owner))


def test_no_rows_are_for_a_list_that_is_gone():
    assert LISTS.keys() == FOUND.keys()


# Planted faults: each must be found.


def test_query_per_row_is_found(database, monkeypatch):
    def of(portfolio):
        Asset.objects.filter(portfolio=portfolio).count()
        return original(portfolio)

    original = core_api.PortfolioOut.of
    monkeypatch.setattr(core_api.PortfolioOut, "of", of)
    owner = make_tenant()

    with pytest.raises(AssertionError, match="SELECT COUNT"):
        check_queries(FOUND["list_portfolios"], owner, make_key(owner))


def test_too_many_queries_are_found(database, monkeypatch):
    def list_portfolios(**options):
        for _ in range(MOST_QUERIES):
            Asset.objects.count()
        return original(**options)

    original = core_api.queries.list_portfolios
    monkeypatch.setattr(core_api.queries, "list_portfolios", list_portfolios)
    owner = make_tenant()

    with pytest.raises(AssertionError, match="SELECT COUNT"):
        check_queries(FOUND["list_portfolios"], owner, make_key(owner))


def test_list_without_rows_is_found(database, monkeypatch):
    monkeypatch.delitem(LISTS, "list_jobs")
    owner = make_tenant()

    with pytest.raises(LookupError, match="no rows for list_jobs: add how to make one more to LISTS"):
        check_queries(FOUND["list_jobs"], owner, make_key(owner))

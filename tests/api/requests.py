"""For each operation a request that succeeds, and for each list how it gets one more row: what the API's guards ask.

Each function runs in the tenant's scope and makes the rows that it needs anew. A service may keep its own in
tests/services/<service>/requests.py, as dictionaries REQUESTS and LISTS of the same form.
"""

import itertools
import uuid
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from services.core import operations as core
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import Portfolio
from services.history.models import AssetDay, PortfolioDay
from services.integration.models import Link, LinkState
from services.jobs import operations as jobs
from services.jobs.models import Job
from tests.api.document import Request
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_transaction, set_value

_numbers = itertools.count(1)


def _list_assets() -> Request:
    asset = make_asset(make_portfolio())
    set_value(asset, "12.50")
    return Request(query={"portfolio_id": asset.portfolio_id, "with_closed": "true"})


def _create_asset() -> Request:
    return Request(body={"portfolio_id": make_portfolio().id, "name": "Car", "kind": "vehicle"})


def _asset(**body: str) -> Callable[[], Request]:
    return lambda: Request(path={"asset_id": make_asset(make_portfolio()).id}, body=body or None)


def _reopen_asset() -> Request:
    asset = make_asset(make_portfolio())
    core.close_asset(asset_id=asset.id, on=TODAY, at=AT)
    return Request(path={"asset_id": asset.id})


def _list_values() -> Request:
    asset = make_asset(make_portfolio())
    set_value(asset, "12.50")
    return Request(path={"asset_id": asset.id})


def _list_transactions() -> Request:
    asset = make_asset(make_portfolio())
    make_transaction(asset)
    return Request(query={"portfolio_id": asset.portfolio_id, "asset_id": asset.id, "from": TODAY, "max_amount": "0"})


def _note_transaction() -> Request:
    transaction = make_transaction(make_asset(make_portfolio()))
    return Request(path={"transaction_id": transaction.id}, body={"note": "For the party"})


def _portfolio_day(portfolio: Portfolio, days_ago: int = 0) -> PortfolioDay:
    return PortfolioDay.objects.create(
        portfolio=portfolio,
        day=TODAY.fromordinal(TODAY.toordinal() - days_ago),
        currency="AUD",
        assets=Decimal("100.00"),
        debts=Decimal("-12.50"),
        estimated=False,
        missing=0,
    )


def _of_portfolio_days() -> Request:
    portfolio = make_portfolio()
    _portfolio_day(portfolio)
    return Request(path={"portfolio_id": portfolio.id}, query={"to": TODAY, "range": "1m"})


def _of_asset_days() -> Request:
    asset = make_asset(make_portfolio())
    AssetDay.objects.create(asset=asset, day=TODAY, value=Decimal("12.50"), estimated=False)
    return Request(path={"asset_id": asset.id}, query={"to": TODAY})


def _make_link(state: LinkState = LinkState.ACTIVE) -> Link:
    return Link.objects.create(
        portfolio=make_portfolio(),
        provider="plaid",
        state=state,
        item_id=uuid.uuid4().hex,
        access_token=b"sealed",
        created_at=AT,
    )


def _link(body: dict[str, str] | None = None) -> Callable[[], Request]:
    return lambda: Request(path={"link_id": _make_link().id}, body=body)


def _make_job() -> Job:
    return jobs.enqueue(kind=REVALUE_PORTFOLIO, subject_id=make_portfolio().id, at=AT)


def _list_jobs() -> Request:
    return Request(query={"subject_id": _make_job().subject_id, "state": "queued"})


def _retry_job() -> Request:
    return Request(path={"job_id": jobs.cancel_job(job_id=_make_job().id, at=AT).id})


REQUESTS: dict[str, Callable[[], Request]] = {
    "get_me": Request,
    "get_tenant": Request,
    "list_portfolios": Request,
    "create_portfolio": lambda: Request(
        body={"name": f"Euros {next(_numbers)}", "currency": "EUR", "time_zone": "Europe/Berlin"}
    ),
    "get_portfolio": lambda: Request(path={"portfolio_id": make_portfolio().id}),
    "update_portfolio": lambda: Request(path={"portfolio_id": make_portfolio().id}, body={"currency": "USD"}),
    "list_assets": _list_assets,
    "create_asset": _create_asset,
    "get_asset": _asset(),
    "update_asset": _asset(name="Renamed"),
    "close_asset": _asset(on="2026-03-01"),
    "reopen_asset": _reopen_asset,
    "list_values": _list_values,
    "set_value": _asset(on="2026-03-01", value="12.50"),
    "list_transactions": _list_transactions,
    "note_transaction": _note_transaction,
    "get_net_worth": _of_portfolio_days,
    "get_portfolio_history": _of_portfolio_days,
    "get_asset_history": _of_asset_days,
    "list_links": lambda: Request(query={"limit": _make_link() and 500}),
    "start_link": lambda: Request(body={"portfolio_id": make_portfolio().id}),
    "get_link": _link(),
    "complete_link": _link({}),
    "refresh_link": _link(),
    "remove_link": _link(),
    "get_rate": lambda: Request(query={"base": "AUD", "quote": "AUD", "on": TODAY}),
    "list_jobs": _list_jobs,
    "get_job": lambda: Request(path={"job_id": _make_job().id}),
    "cancel_job": lambda: Request(path={"job_id": _make_job().id}),
    "retry_job": _retry_job,
}

type List = tuple[Request, Callable[[], object]]


def _asset_list() -> List:
    portfolio = make_portfolio()
    return Request(query={"portfolio_id": portfolio.id}), lambda: set_value(make_asset(portfolio), "12.50")


def _value_list() -> List:
    asset, days_ago = make_asset(make_portfolio()), itertools.count()
    return Request(path={"asset_id": asset.id}), lambda: set_value(
        asset, "12.50", on=TODAY.fromordinal(TODAY.toordinal() - next(days_ago))
    )


def _transaction_list() -> List:
    portfolio = make_portfolio()
    return Request(query={"portfolio_id": portfolio.id}), lambda: make_transaction(make_asset(portfolio))


def _portfolio_day_list() -> List:
    portfolio, days_ago = make_portfolio(), itertools.count()
    return Request(path={"portfolio_id": portfolio.id}, query={"to": TODAY}), lambda: _portfolio_day(
        portfolio, next(days_ago)
    )


def _asset_day_list() -> List:
    asset, days_ago = make_asset(make_portfolio()), itertools.count()
    return Request(path={"asset_id": asset.id}, query={"to": TODAY}), lambda: AssetDay.objects.create(
        asset=asset,
        day=TODAY.fromordinal(TODAY.toordinal() - next(days_ago)),
        value=Decimal("12.50"),
        estimated=False,
    )


LISTS: dict[str, Callable[[], List]] = {
    "list_portfolios": lambda: (Request(), make_portfolio),
    "list_assets": _asset_list,
    "list_values": _value_list,
    "list_transactions": _transaction_list,
    "list_links": lambda: (Request(), _make_link),
    "list_jobs": lambda: (Request(), _make_job),
    "get_portfolio_history": _portfolio_day_list,
    "get_asset_history": _asset_day_list,
}

for _app in apps.get_app_configs():
    _name = f"tests.{_app.name}"
    if _app.name.startswith("services.") and find_spec(_name) and find_spec(f"{_name}.requests"):
        REQUESTS |= import_module(f"{_name}.requests").REQUESTS
        LISTS |= import_module(f"{_name}.requests").LISTS


def request_for(operation_id: str) -> Request:
    """Make a request that succeeds, in the open tenant scope.

    Raises:
        LookupError: nobody said how.
    """
    if operation_id not in REQUESTS:
        msg = f"no request for {operation_id}: add one that succeeds to REQUESTS in tests/api/requests.py"
        raise LookupError(msg)
    return REQUESTS[operation_id]()


def list_for(operation_id: str) -> List:
    """Return a request for a list without rows, and what adds one row to it, in the open tenant scope.

    Raises:
        LookupError: nobody said how.
    """
    if operation_id not in LISTS:
        msg = f"no rows for {operation_id}: add how to make one more to LISTS in tests/api/requests.py"
        raise LookupError(msg)
    return LISTS[operation_id]()

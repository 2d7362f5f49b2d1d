"""Portfolios, assets and transactions over HTTP."""

from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.money import to_text
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.accounts import queries as accounts
from services.core import operations, queries
from services.core.models import AssetKind, Side
from services.core.schemas import (
    AssetChange,
    AssetClosing,
    AssetIn,
    AssetOut,
    PortfolioChange,
    PortfolioIn,
    PortfolioOut,
    TransactionChange,
    TransactionOut,
    TransactionQuery,
    ValueIn,
    ValueOut,
)

router = Router(tags=["Wealth"])

_OLDEST_FIRST = ("created_at", "id")
_NEWEST_FIRST = ("-booked_on", "-id")
_DEBTS = {AssetKind.CREDIT_CARD, AssetKind.LOAN}


@router.get("/portfolios", response=PageOf[PortfolioOut])
def list_portfolios(request: HttpRequest, page: Query[PageQuery]) -> PageOf[PortfolioOut]:
    """List the portfolios, oldest first."""
    found = paginate(queries.list_portfolios(), order=_OLDEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[PortfolioOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/portfolios", response={201: PortfolioOut})
def create_portfolio(request: HttpRequest, body: PortfolioIn) -> Status[PortfolioOut]:
    """Create a portfolio."""
    tenant = accounts.current_tenant()
    portfolio = operations.create_portfolio(
        name=body.name,
        currency=body.currency or tenant.home_currency,
        time_zone=body.time_zone or tenant.time_zone,
        at=now(),
    )
    return Status(201, PortfolioOut.of(portfolio))


@router.get("/portfolios/{portfolio_id}", response=PortfolioOut)
def get_portfolio(request: HttpRequest, portfolio_id: UUID) -> PortfolioOut:
    """Show a portfolio."""
    return PortfolioOut.of(queries.get_portfolio(portfolio_id=portfolio_id))


@router.patch("/portfolios/{portfolio_id}", response=PortfolioOut)
def update_portfolio(request: HttpRequest, portfolio_id: UUID, body: PortfolioChange) -> PortfolioOut:
    """Rename a portfolio, or change its currency or time zone (its history is then worked out anew)."""
    portfolio = operations.update_portfolio(
        portfolio_id=portfolio_id, name=body.name, currency=body.currency, time_zone=body.time_zone, at=now()
    )
    return PortfolioOut.of(portfolio)


@router.get("/assets", response=PageOf[AssetOut])
def list_assets(
    request: HttpRequest, page: Query[PageQuery], portfolio_id: UUID | None = None, with_closed: bool = False
) -> PageOf[AssetOut]:
    """List assets and debts, oldest first; those that are closed only on request."""
    rows = queries.list_assets(portfolio_id=portfolio_id, with_closed=with_closed)
    found = paginate(rows, order=_OLDEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[AssetOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/assets", response={201: AssetOut})
def create_asset(request: HttpRequest, body: AssetIn) -> Status[AssetOut]:
    """Create an asset or debt that is kept by hand; its currency is the portfolio's where it is left out."""
    portfolio = queries.get_portfolio(portfolio_id=body.portfolio_id)
    asset = operations.create_asset(
        portfolio_id=body.portfolio_id,
        name=body.name,
        kind=body.kind,
        side=body.side or (Side.DEBT if body.kind in _DEBTS else Side.ASSET),
        currency=body.currency or portfolio.currency,
        institution=body.institution,
        at=now(),
    )
    return Status(201, AssetOut.of(queries.get_asset(asset_id=asset.id)))


@router.get("/assets/{asset_id}", response=AssetOut)
def get_asset(request: HttpRequest, asset_id: UUID) -> AssetOut:
    """Show an asset or debt."""
    return AssetOut.of(queries.get_asset(asset_id=asset_id))


@router.patch("/assets/{asset_id}", response=AssetOut)
def update_asset(request: HttpRequest, asset_id: UUID, body: AssetChange) -> AssetOut:
    """Rename an asset (an import keeps the name), or reckon one that is kept by hand in another currency.

    Nothing is converted: its figures stay as they are.
    """
    if body.name is not None:
        operations.rename_asset(asset_id=asset_id, name=body.name, at=now())
    if body.currency is not None:
        operations.change_currency(asset_id=asset_id, currency=body.currency, at=now())
    return AssetOut.of(queries.get_asset(asset_id=asset_id))


@router.post("/assets/{asset_id}/close", response=AssetOut)
def close_asset(request: HttpRequest, asset_id: UUID, body: AssetClosing) -> AssetOut:
    """Count an asset that is kept by hand no longer, from a day on; its history stays."""
    operations.close_asset(asset_id=asset_id, on=body.on, at=now())
    return AssetOut.of(queries.get_asset(asset_id=asset_id))


@router.post("/assets/{asset_id}/reopen", response=AssetOut)
def reopen_asset(request: HttpRequest, asset_id: UUID) -> AssetOut:
    """Count a closed asset that is kept by hand again, from the day it was closed on."""
    operations.reopen_asset(asset_id=asset_id, at=now())
    return AssetOut.of(queries.get_asset(asset_id=asset_id))


@router.get("/assets/{asset_id}/values", response=PageOf[ValueOut])
def list_values(request: HttpRequest, asset_id: UUID, page: Query[PageQuery]) -> PageOf[ValueOut]:
    """List the observed values of an asset, newest first."""
    currency = queries.get_asset(asset_id=asset_id).currency
    rows = queries.list_values(asset_id=asset_id)
    found = paginate(rows, order=("-on", "-id"), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[ValueOut.of(each, currency) for each in found.items], next_cursor=found.next_cursor)


@router.put("/assets/{asset_id}/values", response=ValueOut)
def set_value(request: HttpRequest, asset_id: UUID, body: ValueIn) -> ValueOut:
    """Say what an asset kept by hand was worth at the end of a day; it holds until the next value."""
    valuation = operations.set_value(asset_id=asset_id, on=body.on, value=body.value, at=now())
    return ValueOut.of(valuation, valuation.asset.currency)


@router.get("/transactions", response=PageOf[TransactionOut])
def list_transactions(request: HttpRequest, wanted: Query[TransactionQuery]) -> HttpResponse:
    """List transactions, newest first."""
    rows = queries.list_transactions(
        wanted=queries.TransactionFilter(
            portfolio_id=wanted.portfolio_id,
            asset_id=wanted.asset_id,
            from_day=wanted.from_day,
            to_day=wanted.to_day,
            min_amount=wanted.min_amount,
            max_amount=wanted.max_amount,
            pending=wanted.pending,
        )
    )
    found = paginate(rows, order=_NEWEST_FIRST, cursor=wanted.cursor, limit=wanted.limit)
    # The longest list: dicts straight to JSON take half the time of models through pydantic. The guard of the API
    # (tests/test_api_guard.py) holds it to the schema.
    items = [_transaction(row) for row in found.items]
    body = orjson.dumps({"items": items, "next_cursor": found.next_cursor})
    return HttpResponse(body, content_type="application/json")


@router.patch("/transactions/{transaction_id}", response=TransactionOut)
def note_transaction(request: HttpRequest, transaction_id: UUID, body: TransactionChange) -> HttpResponse:
    """Write a note on a transaction; an import never touches it."""
    operations.note_transaction(transaction_id=transaction_id, note=body.note)
    row = queries.list_transactions(wanted=queries.TransactionFilter()).get(id=transaction_id)
    return HttpResponse(orjson.dumps(_transaction(row)), content_type="application/json")


def _transaction(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "amount": to_text(row["amount"], row["currency"])}

"""The assets, and what they are worth: by hand and as a provider tells."""

import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from django.db.models import BigIntegerField, F
from django.db.models.functions import Cast, Mod

from fatfire.kit import clock
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import MINOR_DIGITS, SCALE, require_amount, require_currency
from services.core import queries
from services.core.models import MANUAL, Asset, AssetKind, Side, Transaction, Valuation
from services.core.operations.portfolios import EARLIEST, hold_portfolio, mark_assets_changed, mark_changed
from tenants import audit


class NotManual(DomainError):
    """The bank keeps this asset's values; they can't be entered by hand."""

    code = "not_manual"


class AssetClosed(DomainError):
    """The asset is closed."""

    code = "asset_closed"


class AssetOpen(DomainError):
    """The asset is not closed."""

    code = "asset_open"


def create_asset(
    *, portfolio_id: UUID, name: str, kind: AssetKind, side: Side, currency: str, at: dt.datetime, institution: str = ""
) -> Asset:
    """Create an asset that a person keeps by hand.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is.
        InvalidInput: the currency doesn't exist.
    """
    asset = Asset.objects.create(
        portfolio=hold_portfolio(portfolio_id=portfolio_id),
        name=name,
        kind=kind,
        side=side,
        currency=require_currency(currency),
        institution=institution,
        created_at=at,
    )
    audit.record(action="create", subject="asset", subject_id=asset.id, at=at, name=name)
    return asset


def rename_asset(*, asset_id: UUID, name: str, at: dt.datetime) -> Asset:
    """Give the asset another name; an import keeps it.

    Raises:
        Asset.DoesNotExist: not this tenant's.
    """
    asset = queries.shown_assets().select_for_update(no_key=True).get(id=asset_id)
    asset.name = name
    asset.save(update_fields=["name"])
    audit.record(action="rename", subject="asset", subject_id=asset_id, at=at, name=name)
    return asset


def change_currency(*, asset_id: UUID, currency: str, at: dt.datetime, source: str = MANUAL) -> Asset:
    """Reckon an asset in another currency, from its first day on: its figures stay as they are.

    Nothing is converted: 100.00 in US dollars become 100.00 in Australian dollars. It mends a currency that was wrong
    from the beginning; money that was really exchanged is another asset. The portfolio's whole history is worked out
    anew. An import keeps the choice. `source` is who keeps the asset's figures.

    Raises:
        Asset.DoesNotExist: not this tenant's.
        NotManual: another source keeps it.
        AssetClosed: it is closed.
        InvalidInput: the currency doesn't exist, or has fewer decimals than the asset's figures.
    """
    asset = _open_asset(source, asset_id)
    if require_currency(currency) == asset.currency:
        return asset
    finer = Mod(Cast("figure", BigIntegerField()), 10 ** (SCALE - MINOR_DIGITS[currency]))
    figures = (
        Valuation.objects.filter(asset_id=asset_id).annotate(figure=F("value")),
        Transaction.objects.filter(asset_id=asset_id).annotate(figure=F("amount")),
    )
    if any(each.annotate(rest=finer).exclude(rest=0).exists() for each in figures):
        msg = f"This has amounts with more decimals than {currency} has, so it can't be in {currency}."
        raise InvalidInput(msg, field="currency")
    before, asset.currency = asset.currency, currency
    asset.save(update_fields=["currency"])
    mark_changed(portfolio_ids=[asset.portfolio_id], from_day=EARLIEST, at=at)
    audit.record(action="currency", subject="asset", subject_id=asset_id, at=at, before=before, currency=currency)
    return asset


def close_assets(*, asset_ids: Collection[UUID], on: dt.date, at: dt.datetime) -> None:
    """Count the assets no longer, from the day `on`; their history stays. One that is closed already keeps its day."""
    open_assets = Asset.objects.select_for_update(no_key=True).filter(id__in=asset_ids, closed_on__isnull=True)
    portfolio_of = dict(open_assets.order_by("id").values_list("id", "portfolio_id"))
    Asset.objects.filter(id__in=portfolio_of).update(closed_on=on)
    mark_changed(portfolio_ids=set(portfolio_of.values()), from_day=on, at=at)
    for asset_id in portfolio_of:
        audit.record(action="close", subject="asset", subject_id=asset_id, at=at, on=on.isoformat())


def close_asset(*, asset_id: UUID, on: dt.date, at: dt.datetime) -> Asset:
    """Close one asset that a person keeps by hand.

    Raises:
        Asset.DoesNotExist: not this tenant's.
        NotManual: it comes from a bank; remove the link instead.
        AssetClosed: it is closed already.
        InvalidInput: the day hasn't come yet in the portfolio's time zone.
    """
    asset = _manual_asset(asset_id)
    _require_past(on, asset, at, field="on")
    close_assets(asset_ids=[asset_id], on=on, at=at)
    return Asset.objects.get(id=asset_id)


def reopen_asset(*, asset_id: UUID, at: dt.datetime) -> Asset:
    """Count an asset kept by hand again, from the day it was closed on: as if it never had been.

    Raises:
        Asset.DoesNotExist: not this tenant's.
        NotManual: it comes from a bank; link that again instead.
        AssetOpen: it is not closed.
    """
    asset = _lock_asset(MANUAL, asset_id)
    if asset.closed_on is None:
        raise AssetOpen
    closed_on, asset.closed_on = asset.closed_on, None
    asset.save(update_fields=["closed_on"])
    mark_changed(portfolio_ids=[asset.portfolio_id], from_day=closed_on, at=at)
    audit.record(action="reopen", subject="asset", subject_id=asset_id, at=at)
    return asset


def set_value(*, asset_id: UUID, on: dt.date, value: Decimal, at: dt.datetime) -> Valuation:
    """Say what an asset kept by hand was worth at the end of `on`; a value of the same day is replaced.

    It holds until the next one. A debt's value is negative or zero.

    Raises:
        Asset.DoesNotExist: not this tenant's.
        NotManual: it comes from a bank.
        AssetClosed: it is closed.
        InvalidInput: the day hasn't come yet, or the value is too fine for the currency or positive for a debt.
    """
    asset = _manual_asset(asset_id)
    _require_past(on, asset, at, field="on")
    require_amount(value, asset.currency, field="value")
    if asset.side == Side.DEBT and value > 0:
        msg = "A debt's value is zero or negative."
        raise InvalidInput(msg, field="value")
    _write_values([Valuation(asset=asset, on=on, value=value, source=MANUAL, observed_at=at)])
    mark_changed(portfolio_ids=[asset.portfolio_id], from_day=on, at=at)
    audit.record(action="value", subject="asset", subject_id=asset_id, at=at, on=on.isoformat(), value=str(value))
    return Valuation.objects.get(asset_id=asset_id, on=on)


def import_asset(
    *,
    portfolio_id: UUID,
    source: str,
    external_id: str,
    name: str,
    kind: AssetKind,
    side: Side,
    currency: str,
    institution: str,
    at: dt.datetime,
) -> Asset:
    """Return the asset that mirrors the provider's account, made at first sight.

    A person's own name for it stays, and so does the currency that they chose.
    """
    asset, _ = Asset.objects.get_or_create(
        source=source,
        external_id=external_id,
        defaults={
            "portfolio_id": portfolio_id,
            "name": name,
            "kind": kind,
            "side": side,
            "currency": currency,
            "institution": institution,
            "created_at": at,
        },
    )
    return asset


def import_balances(*, balances: dict[UUID, Decimal], source: str, on: dt.date, at: dt.datetime) -> None:
    """Record what the provider says each asset (by id, in its own currency) is worth on the day `on`; repeatable."""
    known = dict(Valuation.objects.filter(asset_id__in=balances, on=on).values_list("asset_id", "value"))
    news = [
        Valuation(asset_id=asset_id, on=on, value=value, source=source, observed_at=at)
        for asset_id, value in balances.items()
        if known.get(asset_id) != value
    ]
    _write_values(news)
    mark_assets_changed({valuation.asset_id: on for valuation in news}, at=at)


def _manual_asset(asset_id: UUID) -> Asset:
    """Return the asset, locked, when a person may change its values."""
    return _open_asset(MANUAL, asset_id)


def _open_asset(source: str, asset_id: UUID) -> Asset:
    """Return the asset, locked, when `source` keeps it and it isn't closed."""
    asset = _lock_asset(source, asset_id)
    if asset.closed_on is not None:
        raise AssetClosed
    return asset


def _lock_asset(source: str, asset_id: UUID) -> Asset:
    """Return the asset, locked, its portfolio held, when `source` keeps it.

    Another source's isn't locked: that one locks first the portfolio and then the asset.
    """
    assets = queries.shown_assets()
    locked = assets.select_for_update(no_key=True, of=("self",)).select_related("portfolio")
    asset = locked.filter(id=asset_id, source=source).first()
    if asset is None:
        assets.get(id=asset_id)
        raise NotManual
    hold_portfolio(portfolio_id=asset.portfolio_id)
    return asset


def _require_past(day: dt.date, asset: Asset, at: dt.datetime, *, field: str) -> None:
    if not EARLIEST <= day <= clock.local_date(at, asset.portfolio.time_zone):
        msg = f"A day between {EARLIEST} and today."
        raise InvalidInput(msg, field=field)


def _write_values(values: list[Valuation]) -> None:
    Valuation.objects.bulk_create(
        values,
        update_conflicts=True,
        unique_fields=["tenant", "asset", "on"],
        update_fields=["value", "source", "observed_at"],
    )

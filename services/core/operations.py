"""Writing what a person has. A write that changes what something was worth also has its portfolio's history redone."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, F
from django.db.models.functions import Cast, Coalesce, Least, Mod

from fatfire.kit import clock
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import MINOR_DIGITS, SCALE, require_amount, require_currency
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import MANUAL, Asset, AssetKind, Portfolio, Side, Transaction, Valuation
from services.jobs import operations as jobs
from tenants import audit
from tenants.isolation import current_alias

# What other services may name: of this one they may import only operations, queries and jobs.
__all__ = ["Asset", "AssetKind", "Portfolio", "Side"]

_EARLIEST = dt.date(1900, 1, 1)


class NameTaken(DomainError):
    """Another portfolio has this name."""

    code = "name_taken"


class NotManual(DomainError):
    """The bank keeps this asset's values; they can't be entered by hand."""

    code = "not_manual"


class AssetClosed(DomainError):
    """The asset is closed."""

    code = "asset_closed"


class AssetOpen(DomainError):
    """The asset is not closed."""

    code = "asset_open"


@dataclass(frozen=True, slots=True)
class ImportedTransaction:
    """A transaction as a provider gives it. `amount` is positive for money in; `replaces`: its id while pending."""

    external_id: str
    asset_id: UUID
    booked_on: dt.date
    amount: Decimal
    description: str
    merchant: str = ""
    category: str = ""
    pending: bool = False
    replaces: str | None = None


def create_portfolio(*, name: str, currency: str, time_zone: str, at: dt.datetime) -> Portfolio:
    """Create a portfolio of the open scope's tenant.

    Raises:
        NameTaken: another has the name (in whatever case).
        InvalidInput: the currency or time zone doesn't exist.
    """
    portfolio = Portfolio(
        name=name, currency=require_currency(currency), time_zone=clock.require_time_zone(time_zone), created_at=at
    )
    _save_portfolio(portfolio)
    audit.record(action="create", subject="portfolio", subject_id=portfolio.id, at=at, name=name)
    return portfolio


def update_portfolio(
    *,
    portfolio_id: UUID,
    at: dt.datetime,
    name: str | None = None,
    currency: str | None = None,
    time_zone: str | None = None,
) -> Portfolio:
    """Change what is given; another currency or time zone has the whole history redone.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        NameTaken: another has the name (in whatever case).
        InvalidInput: the currency or time zone doesn't exist.
    """
    portfolio = Portfolio.objects.select_for_update(no_key=True).get(id=portfolio_id)
    before = (portfolio.currency, portfolio.time_zone)
    if name is not None:
        portfolio.name = name
    if currency is not None:
        portfolio.currency = require_currency(currency)
    if time_zone is not None:
        portfolio.time_zone = clock.require_time_zone(time_zone)
    _save_portfolio(portfolio)
    if before != (portfolio.currency, portfolio.time_zone):
        _mark_changed(portfolio_ids=[portfolio_id], from_day=_EARLIEST, at=at)
    audit.record(
        action="update",
        subject="portfolio",
        subject_id=portfolio_id,
        at=at,
        name=name,
        currency=currency,
        time_zone=time_zone,
    )
    return portfolio


def create_asset(
    *, portfolio_id: UUID, name: str, kind: AssetKind, side: Side, currency: str, at: dt.datetime, institution: str = ""
) -> Asset:
    """Create an asset that a person keeps by hand.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        InvalidInput: the currency doesn't exist.
    """
    asset = Asset.objects.create(
        portfolio=Portfolio.objects.get(id=portfolio_id),
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
    asset = Asset.objects.select_for_update(no_key=True).get(id=asset_id)
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
    _mark_changed(portfolio_ids=[asset.portfolio_id], from_day=_EARLIEST, at=at)
    audit.record(action="currency", subject="asset", subject_id=asset_id, at=at, before=before, currency=currency)
    return asset


def close_assets(*, asset_ids: Collection[UUID], on: dt.date, at: dt.datetime) -> None:
    """Count the assets no longer, from the day `on`; their history stays. One that is closed already keeps its day."""
    open_assets = Asset.objects.select_for_update(no_key=True).filter(id__in=asset_ids, closed_on__isnull=True)
    portfolio_of = dict(open_assets.order_by("id").values_list("id", "portfolio_id"))
    Asset.objects.filter(id__in=portfolio_of).update(closed_on=on)
    _mark_changed(portfolio_ids=set(portfolio_of.values()), from_day=on, at=at)
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
    _mark_changed(portfolio_ids=[asset.portfolio_id], from_day=closed_on, at=at)
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
    _mark_changed(portfolio_ids=[asset.portfolio_id], from_day=on, at=at)
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
    _mark_assets_changed({valuation.asset_id: on for valuation in news}, at=at)


def import_transactions(
    *, source: str, upserts: Iterable[ImportedTransaction], removed: Collection[str], at: dt.datetime
) -> None:
    """Write one page of a provider's changes; the same page again changes nothing.

    A posted transaction takes over the row of the pending one that it replaces, with the person's note on it.
    """
    wanted = {each.external_id: each for each in upserts}
    mine = Transaction.objects.filter(source=source)
    before = {row.external_id: row for row in mine.filter(external_id__in=[*wanted, *removed])}
    for each in wanted.values():
        if each.replaces and each.external_id not in before:
            pending = mine.filter(external_id=each.replaces).first()
            if pending:
                mine.filter(id=pending.id).update(external_id=each.external_id)
                before[each.external_id] = pending
                before.pop(each.replaces, None)  # the provider also says that it is removed: under that id, it is
    news = [each for each in wanted.values() if _differs(before.get(each.external_id), each)]
    gone = [before[each] for each in removed if each in before and each not in wanted]
    mine.filter(id__in=[row.id for row in gone]).delete()
    Transaction.objects.bulk_create(
        [
            Transaction(source=source, created_at=at, **{name: getattr(each, name) for name in _IMPORTED})
            for each in news
        ],
        update_conflicts=True,
        unique_fields=["tenant", "source", "external_id"],
        update_fields=_IMPORTED,
    )
    touched: list[ImportedTransaction | Transaction] = [
        *news,
        *gone,
        *(before[each.external_id] for each in news if each.external_id in before),
    ]
    first_day: dict[UUID, dt.date] = {}
    for row in touched:
        first_day[row.asset_id] = min(row.booked_on, first_day.get(row.asset_id, row.booked_on))
    _mark_assets_changed(first_day, at=at)


_IMPORTED = ["external_id", "asset_id", "booked_on", "amount", "description", "merchant", "category", "pending"]


def _differs(row: Transaction | None, wanted: ImportedTransaction) -> bool:
    return row is None or any(getattr(row, name) != getattr(wanted, name) for name in _IMPORTED)


def note_transaction(*, transaction_id: UUID, note: str) -> Transaction:
    """Keep the person's note on a transaction; an import never touches it.

    Raises:
        Transaction.DoesNotExist: not this tenant's.
    """
    row = Transaction.objects.select_for_update(no_key=True).get(id=transaction_id)
    row.note = note
    row.save(update_fields=["note"])
    return row


def _save_portfolio(portfolio: Portfolio) -> None:
    try:
        with transaction.atomic(using=current_alias()):
            portfolio.save()
    except IntegrityError as error:
        if "core_portfolio_name_once" not in str(error):
            raise
        raise NameTaken from error


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
    """Return the asset, locked, when `source` keeps it."""
    asset = Asset.objects.select_for_update(no_key=True, of=("self",)).select_related("portfolio").get(id=asset_id)
    if asset.source != source:
        raise NotManual
    return asset


def _require_past(day: dt.date, asset: Asset, at: dt.datetime, *, field: str) -> None:
    if not _EARLIEST <= day <= clock.local_date(at, asset.portfolio.time_zone):
        msg = f"A day between {_EARLIEST} and today."
        raise InvalidInput(msg, field=field)


def _write_values(values: list[Valuation]) -> None:
    Valuation.objects.bulk_create(
        values,
        update_conflicts=True,
        unique_fields=["tenant", "asset", "on"],
        update_fields=["value", "source", "observed_at"],
    )


def _mark_assets_changed(first_day: dict[UUID, dt.date], *, at: dt.datetime) -> None:
    """Mark the assets' portfolios as changed from the first day given for any of their assets."""
    by_portfolio: dict[UUID, dt.date] = {}
    for asset_id, portfolio_id in Asset.objects.filter(id__in=first_day).values_list("id", "portfolio_id"):
        by_portfolio[portfolio_id] = min(first_day[asset_id], by_portfolio.get(portfolio_id, first_day[asset_id]))
    for portfolio_id, day in sorted(by_portfolio.items()):
        _mark_changed(portfolio_ids=[portfolio_id], from_day=day, at=at)


def _mark_changed(*, portfolio_ids: Iterable[UUID], from_day: dt.date, at: dt.datetime) -> None:
    """Note that what the portfolios were worth changed on `from_day` or later, and ask for their history."""
    for portfolio_id in sorted(portfolio_ids):
        Portfolio.objects.filter(id=portfolio_id).update(
            revalue_from=Least(Coalesce("revalue_from", from_day), from_day)
        )
        jobs.enqueue(kind=REVALUE_PORTFOLIO, subject_id=portfolio_id, at=at)

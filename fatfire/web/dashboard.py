"""The first page: what someone has and owes, by kind."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils.timesince import timesince
from django.views.decorators.http import require_safe

from fatfire.kit.clock import local_date, now
from fatfire.web.access import page
from fatfire.web.shell import shell_of
from fatfire.web.shell import show as show_page
from services.analytics import queries as analytics
from services.analytics.queries import Change, Difference, Range
from services.core import queries as core
from services.core.models import Asset, AssetKind, Portfolio, Side
from services.exchange import queries as exchange
from services.history import queries as history

DEBTS = "Liabilities"
_GAP, _NARROWEST = Decimal("0.3"), Decimal("0.2")
_TITLES = {
    AssetKind.BANK_ACCOUNT: "Bank accounts",
    AssetKind.SHARE: "Shares and funds",
    AssetKind.SUPERANNUATION: "Superannuation",
    AssetKind.PROPERTY: "Property",
    AssetKind.VEHICLE: "Vehicles",
    AssetKind.OTHER: "Other",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An account: its value in its own currency (None: nobody knows) and the change over the past month."""

    asset: Asset
    value: Decimal | None
    worth: Decimal
    change: Difference | None


@dataclass(frozen=True, slots=True)
class Group:
    """The accounts of a kind, and their sum in the portfolio's currency."""

    title: str
    rows: tuple[Row, ...]
    total: Decimal
    is_owed: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A part of all assets: where its bar begins and how wide it is, and how much it is, in percent."""

    title: str
    start: Decimal
    width: Decimal
    percent: Decimal


@require_safe
@page
def show(request: HttpRequest) -> HttpResponse:
    """Greet, and show assets and debts."""
    shell = shell_of(request, "dashboard")
    portfolio = shell.portfolio
    if portfolio is None:
        greeting = _greeting(shell.person.name, shell.tenant.time_zone)
        return show_page(request, "web/dashboard.html", shell, greeting=greeting)
    today = local_date(now(), portfolio.time_zone)
    groups = list(_groups(portfolio, today))
    return show_page(
        request,
        "web/dashboard.html",
        shell,
        greeting=_greeting(shell.person.name, portfolio.time_zone),
        change=_change(portfolio, today),
        groups=groups,
        shares=shares_of(groups),
        read=_read(portfolio),
    )


def _greeting(name: str, time_zone: str) -> str:
    hour = now().astimezone(ZoneInfo(time_zone)).hour
    part = "morning" if 4 <= hour < 12 else "afternoon" if 12 <= hour < 18 else "evening"
    return f"Good {part}, {name.split(maxsplit=1)[0]}" if name.strip() else f"Good {part}"


def _read(portfolio: Portfolio) -> str:
    """Return how long ago any of the values was observed, in words; empty when never."""
    observed_at, at = core.newest_observation(portfolio_id=portfolio.id), now()
    if observed_at is None:
        return ""
    return "just now" if at - observed_at < dt.timedelta(minutes=1) else f"{timesince(observed_at, at, depth=1)} ago"


def _change(portfolio: Portfolio, today: dt.date) -> Change | None:
    start = analytics.start_of(Range.ONE_MONTH, end=today)
    try:
        return analytics.change(portfolio_id=portfolio.id, start=start or dt.date.min, end=today)
    except analytics.NoHistory:
        return None


def _groups(portfolio: Portfolio, today: dt.date) -> Iterator[Group]:
    """Yield the assets by kind, the largest account first, and last what is owed."""
    assets = list(core.list_assets(portfolio_id=portfolio.id, with_closed=False))
    start = analytics.start_of(Range.ONE_MONTH, end=today) or dt.date.min
    before = history.asset_values(asset_ids=[asset.id for asset in assets], on=start)
    rates = {currency: _rate(currency, portfolio.currency, today) for currency in {each.currency for each in assets}}
    rows = [_row(asset, before.get(asset.id), rates[asset.currency]) for asset in assets]
    rows.sort(key=lambda row: (-abs(row.worth), row.asset.name))
    for kind, title in _TITLES.items():
        yield from _group(title, [row for row in rows if row.asset.side == Side.ASSET and row.asset.kind == kind])
    others = [row for row in rows if row.asset.side == Side.ASSET and row.asset.kind not in _TITLES]
    yield from _group("Cards and loans in credit", others)
    yield from _group(DEBTS, [row for row in rows if row.asset.side == Side.DEBT], is_owed=True)


def _group(title: str, rows: list[Row], *, is_owed: bool = False) -> Iterator[Group]:
    if rows:
        yield Group(title, tuple(rows), sum((row.worth for row in rows), Decimal(0)), is_owed)


def _rate(currency: str, to: str, on: dt.date) -> Decimal | None:
    try:
        return exchange.quote(base=currency, quote=to, on=on).rate
    except exchange.RateUnknown:
        return None


def _row(asset: Asset, before: Decimal | None, rate: Decimal | None) -> Row:
    value: Decimal | None = asset.value  # type: ignore[attr-defined]  # annotated by list_assets
    worth = Decimal(0) if value is None or rate is None else value * rate
    known = value is not None and before is not None
    return Row(asset, value, worth, analytics.difference(before or Decimal(0), value or Decimal(0)) if known else None)


def shares_of(groups: list[Group]) -> list[Share]:
    """Return each kind's part of all that is owned, with a hair's breadth between the bars."""
    owned = [group for group in groups if group.total > 0 and not group.is_owed]
    total = sum((group.total for group in owned), Decimal(0))
    shares, start = [], Decimal(0)
    for group in owned:
        percent = group.total * 100 / total
        width = max(percent - _GAP, _NARROWEST)
        shares.append(Share(group.title, _round(start, "0.01"), _round(width, "0.01"), _round(percent, "0.1")))
        start += percent
    return shares


def _round(value: Decimal, unit: str) -> Decimal:
    return value.quantize(Decimal(unit), rounding=ROUND_HALF_UP)

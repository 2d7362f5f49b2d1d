"""The first page: what needs attention, and what someone has and owes, by kind."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils.timesince import timesince
from django.views.decorators.http import require_safe

from fatfire.kit.clock import local_date, now
from fatfire.kit.money import Money
from fatfire.web.access import page
from fatfire.web.attention import banks_of, notices_of
from fatfire.web.shell import may_write, shell_of
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
    """An account: its value in its own currency (None: nobody knows) and the change over the past month.

    `worth` is the value in the currency that totals are shown in; None where there is no rate, or no value.
    """

    asset: Asset
    value: Decimal | None
    worth: Decimal | None
    change: Difference | None


@dataclass(frozen=True, slots=True)
class Group:
    """The accounts of a kind, and the sum of their worth: each is converted by itself, so that the rows add up.

    `total` is None when nobody knows what any of them is worth.
    """

    title: str
    rows: tuple[Row, ...]
    total: Decimal | None
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
    """Greet, tell what needs attention, and show assets and debts."""
    shell = shell_of(request, "dashboard")
    portfolio, at = shell.portfolio, now()
    greeting = _greeting(shell.person.name, portfolio.time_zone if portfolio else shell.tenant.time_zone)
    if portfolio is None:
        return show_page(request, "web/dashboard.html", shell, greeting=greeting, may_write=may_write(request))
    banks = banks_of(portfolio)
    is_changing = portfolio.revalue_from is not None or bool(banks.first_imports)
    if is_changing and "waiting" in request.GET:
        return HttpResponse(status=204)  # htmx leaves the page as it is, and asks again
    today = local_date(at, portfolio.time_zone)
    rows = _rows(portfolio, shell.currency, today)
    groups = list(_groups(rows))
    change = _change(portfolio, shell.currency, today)
    notices = notices_of(
        shell,
        assets=[row.asset for row in rows],
        unrated={row.asset.currency for row in rows if row.value is not None and row.worth is None},
        banks=banks,
        is_estimated=change is not None and change.end.estimated,
        at=at,
    )
    return show_page(
        request,
        "web/dashboard.html",
        shell,
        greeting=greeting,
        change=change,
        groups=groups,
        shares=shares_of(groups),
        notices=notices,
        first_imports=banks.first_imports,
        is_changing=is_changing,
        read=_read(portfolio),
        may_write=may_write(request),
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


def _change(portfolio: Portfolio, currency: str, today: dt.date) -> Change | None:
    start = analytics.start_of(Range.ONE_MONTH, end=today) or dt.date.min
    try:
        return analytics.change(portfolio_id=portfolio.id, start=start, end=today, currency=currency)
    except (analytics.NoHistory, exchange.RateUnknown):
        # No rate: the portfolio has just changed its currency, and its history is still in one that nothing converts.
        return None


def _rows(portfolio: Portfolio, currency: str, today: dt.date) -> list[Row]:
    """Return the accounts, the largest first."""
    assets = list(core.list_assets(portfolio_id=portfolio.id, with_closed=False))
    start = analytics.start_of(Range.ONE_MONTH, end=today) or dt.date.min
    before = history.asset_values(asset_ids=[asset.id for asset in assets], on=start)
    rates = exchange.rates_of(currencies={currency, *(each.currency for each in assets)}, days=[today])
    rows = [_row(asset, before.get(asset.id), rates, currency, today) for asset in assets]
    return sorted(rows, key=lambda row: (-abs(row.worth or Decimal(0)), row.asset.name))


def _row(asset: Asset, before: Decimal | None, rates: exchange.Rates, currency: str, today: dt.date) -> Row:
    value: Decimal | None = asset.value  # type: ignore[attr-defined]  # annotated by list_assets
    if value is None:
        return Row(asset, None, None, None)
    change = None if before is None else analytics.difference(before, value)
    try:
        worth = rates.convert(money=Money(value, asset.currency), to=currency, on=today).money.amount
    except exchange.RateUnknown:
        return Row(asset, value, None, change)
    return Row(asset, value, worth, change)


def _groups(rows: list[Row]) -> Iterator[Group]:
    """Yield the accounts by kind, and last what is owed."""
    for kind, title in _TITLES.items():
        yield from _group(title, [row for row in rows if row.asset.side == Side.ASSET and row.asset.kind == kind])
    others = [row for row in rows if row.asset.side == Side.ASSET and row.asset.kind not in _TITLES]
    yield from _group("Cards and loans in credit", others)
    yield from _group(DEBTS, [row for row in rows if row.asset.side == Side.DEBT], is_owed=True)


def _group(title: str, rows: list[Row], *, is_owed: bool = False) -> Iterator[Group]:
    if rows:
        worths = [row.worth for row in rows if row.worth is not None]
        yield Group(title, tuple(rows), sum(worths, Decimal(0)) if worths else None, is_owed)


def shares_of(groups: list[Group]) -> list[Share]:
    """Return each kind's part of all that is owned, with a hair's breadth between the bars."""
    owned = [(each.title, each.total) for each in groups if each.total and each.total > 0 and not each.is_owed]
    everything = sum((total for _, total in owned), Decimal(0))
    shares, start = [], Decimal(0)
    for title, total in owned:
        percent = total * 100 / everything
        width = max(percent - _GAP, _NARROWEST)
        shares.append(Share(title, _round(start, "0.01"), _round(width, "0.01"), _round(percent, "0.1")))
        start += percent
    return shares


def _round(value: Decimal, unit: str) -> Decimal:
    return value.quantize(Decimal(unit), rounding=ROUND_HALF_UP)

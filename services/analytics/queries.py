"""What the history means: totals on a day, the change between two days, series for a chart. In the open scope.

Each may be asked for in another `currency` than the stored one (None). Assets and debts are then converted, each day's
by that day's rate of the European Central Bank, and rounded once to the currency's minor unit, halves away from zero;
the net worth is their sum, and differences and percentages are those of the converted figures. What is in the currency
already stays as it is. A rate that only estimates the day's makes the day estimated.
"""

import datetime as dt
from calendar import monthrange
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import Money, require_currency
from services.core import queries as core
from services.exchange import queries as exchange
from services.history import queries as history

if TYPE_CHECKING:
    from services.core.operations import Asset
    from services.history.models import PortfolioDay


class NoHistory(DomainError):
    """There is no history yet."""

    status, code = 404, "no_history"


@dataclass(frozen=True, slots=True)
class Totals:
    """What a portfolio was worth at the end of a day, in `currency`: debts ≤ 0, assets + debts = net_worth.

    `estimated`: a value or rate is an estimate. `missing`: how many assets are left out, as nobody knows their worth.
    """

    day: dt.date
    currency: str
    assets: Decimal
    debts: Decimal
    net_worth: Decimal
    estimated: bool
    missing: int


@dataclass(frozen=True, slots=True)
class AssetWorth:
    """What an asset was worth at the end of a day. `estimated`: the value or the rate is an estimate."""

    day: dt.date
    money: Money
    estimated: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How one figure changed. `percent` is of its starting size, to two decimals, halves away from zero; None from 0.

    A debt that shrinks from -200 to -150 is a difference of +50 and +25 %.
    """

    absolute: Decimal
    percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a portfolio was worth on two days, and the differences (raw: contributions are not taken out)."""

    currency: str
    start: Totals
    end: Totals
    assets: Difference
    debts: Difference
    net_worth: Difference


class Range(StrEnum):
    """How far back a series goes from its last day."""

    ONE_MONTH = "1m"
    THREE_MONTHS = "3m"
    ONE_YEAR = "1y"
    ALL = "all"


_MONTHS = {Range.ONE_MONTH: 1, Range.THREE_MONTHS: 3, Range.ONE_YEAR: 12}


def totals(*, portfolio_id: UUID, on: dt.date, currency: str | None = None) -> Totals:
    """Return what the portfolio was worth on a day: its newest known day until then.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        NoHistory: the history begins later, or not at all.
        InvalidInput: `currency` is not one of ISO 4217.
        RateUnknown: there is no rate into `currency`.
    """
    core.get_portfolio(portfolio_id=portfolio_id)
    return _totals([_day(portfolio_id, on)], currency)[0]


def newest_totals(*, portfolio_ids: list[UUID], currency: str | None = None) -> dict[UUID, Totals]:
    """Return what each portfolio was worth on its newest known day; one without history or rate is absent.

    Raises:
        InvalidInput: `currency` is not one of ISO 4217.
    """
    days = history.newest_portfolio_days(portfolio_ids=portfolio_ids)
    rates = _rates(days.values(), currency)
    found = {}
    for portfolio_id, row in days.items():
        with suppress(exchange.RateUnknown):
            found[portfolio_id] = _converted(row, currency or row.currency, rates)
    return found


def change(*, portfolio_id: UUID, start: dt.date, end: dt.date, currency: str | None = None) -> Change:
    """Return the change from `start` to `end`; a start before the history begins is its first day.

    In another currency it holds what the rates did, too.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        NoHistory: the history begins after `end`, or not at all.
        InvalidInput: the end is before the start, or `currency` is not one of ISO 4217.
        RateUnknown: there is no rate into `currency`.
    """
    if end < start:
        msg = "The end is before the start."
        raise InvalidInput(msg, field="to")
    core.get_portfolio(portfolio_id=portfolio_id)
    last = _day(portfolio_id, end)
    first_day = history.first_day(portfolio_id=portfolio_id)
    before, after = _totals([_day(portfolio_id, max(start, first_day or start)), last], currency)
    return Change(
        currency=after.currency,
        start=before,
        end=after,
        assets=difference(before.assets, after.assets),
        debts=difference(before.debts, after.debts),
        net_worth=difference(before.net_worth, after.net_worth),
    )


def series(*, portfolio_id: UUID, start: dt.date | None, end: dt.date, currency: str | None = None) -> list[Totals]:
    """Return one Totals a day from `start` (None: the first) to `end`, oldest first; days without history are absent.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        InvalidInput: `currency` is not one of ISO 4217.
        RateUnknown: there is no rate into `currency`.
    """
    core.get_portfolio(portfolio_id=portfolio_id)
    days = history.list_portfolio_days(portfolio_id=portfolio_id).filter(day__lte=end)
    if start is not None:
        days = days.filter(day__gte=start)
    return _totals(days.order_by("day"), currency)


def asset_series(
    *, asset: "Asset", start: dt.date | None, end: dt.date, currency: str | None = None
) -> list[AssetWorth]:
    """Return what the asset was worth each day from `start` (None: the first) to `end`, oldest first.

    Raises:
        InvalidInput: `currency` is not one of ISO 4217.
        RateUnknown: there is no rate into `currency`.
    """
    own = asset.currency
    wanted = own if currency is None else require_currency(currency)
    days = history.list_asset_days(asset_id=asset.id).filter(day__lte=end)
    if start is not None:
        days = days.filter(day__gte=start)
    rows = list(days.order_by("day"))
    rates = exchange.rates_of(currencies={own, wanted}, days=[row.day for row in rows])
    converted = [(row, rates.convert(money=Money(row.value, own), to=wanted, on=row.day)) for row in rows]
    return [AssetWorth(row.day, each.money, row.estimated or each.quote.estimated) for row, each in converted]


def start_of(chosen: Range, *, end: dt.date) -> dt.date | None:
    """Return the first day of a range that ends on `end`: that day of its month, or the month's last; None for all."""
    if chosen is Range.ALL:
        return None
    year, month = divmod(end.year * 12 + end.month - 1 - _MONTHS[chosen], 12)
    if year < dt.MINYEAR:
        return dt.date.min
    return dt.date(year, month + 1, min(end.day, monthrange(year, month + 1)[1]))


def _day(portfolio_id: UUID, on: dt.date) -> "PortfolioDay":
    row = history.portfolio_day(portfolio_id=portfolio_id, on=on)
    if row is None:
        raise NoHistory
    return row


def _totals(days: "Iterable[PortfolioDay]", currency: str | None) -> list[Totals]:
    """Return the days' totals, in `currency` or each in its own."""
    rows = list(days)
    rates = _rates(rows, currency)
    return [_converted(row, currency or row.currency, rates) for row in rows]


def _rates(days: "Collection[PortfolioDay]", currency: str | None) -> exchange.Rates:
    """Return what converts the days into `currency`: all rates in one query."""
    currencies = set() if currency is None else {require_currency(currency), *(row.currency for row in days)}
    return exchange.rates_of(currencies=currencies, days=[row.day for row in days])


def _converted(row: "PortfolioDay", currency: str, rates: exchange.Rates) -> Totals:
    assets, debts = (
        rates.convert(money=Money(amount, row.currency), to=currency, on=row.day) for amount in (row.assets, row.debts)
    )
    return Totals(
        row.day,
        currency,
        assets.money.amount,
        debts.money.amount,
        assets.money.amount + debts.money.amount,
        row.estimated or assets.quote.estimated,
        row.missing,
    )


def difference(before: Decimal, after: Decimal) -> Difference:
    """Return how a figure changed from `before` to `after`."""
    if before == 0:
        return Difference(after - before, None)
    percent = (after - before) * 100 / abs(before)
    return Difference(after - before, percent.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))

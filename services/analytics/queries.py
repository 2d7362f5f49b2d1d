"""What the history means: totals on a day, the change between two days, series for a chart. In the open scope."""

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from fatfire.kit.errors import DomainError, InvalidInput
from services.core import queries as core
from services.history import queries as history

if TYPE_CHECKING:
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


def totals(*, portfolio_id: UUID, on: dt.date) -> Totals:
    """Return what the portfolio was worth on a day: its newest known day until then.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        NoHistory: the history begins later, or not at all.
    """
    core.get_portfolio(portfolio_id=portfolio_id)
    row = history.portfolio_day(portfolio_id=portfolio_id, on=on)
    if row is None:
        raise NoHistory
    return _totals(row)


def newest_totals(*, portfolio_ids: list[UUID]) -> dict[UUID, Totals]:
    """Return what each portfolio was worth on its newest known day; one without history is absent."""
    days = history.newest_portfolio_days(portfolio_ids=portfolio_ids)
    return {portfolio_id: _totals(row) for portfolio_id, row in days.items()}


def change(*, portfolio_id: UUID, start: dt.date, end: dt.date) -> Change:
    """Return the change from `start` to `end`; a start before the history begins is its first day.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        NoHistory: the history begins after `end`, or not at all.
        InvalidInput: the end is before the start.
    """
    if end < start:
        msg = "The end is before the start."
        raise InvalidInput(msg, field="to")
    after = totals(portfolio_id=portfolio_id, on=end)
    first = history.first_day(portfolio_id=portfolio_id)
    before = totals(portfolio_id=portfolio_id, on=max(start, first or start))
    return Change(
        currency=after.currency,
        start=before,
        end=after,
        assets=difference(before.assets, after.assets),
        debts=difference(before.debts, after.debts),
        net_worth=difference(before.net_worth, after.net_worth),
    )


def series(*, portfolio_id: UUID, start: dt.date | None, end: dt.date) -> list[Totals]:
    """Return one Totals a day from `start` (None: the first) to `end`, oldest first; days without history are absent.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
    """
    core.get_portfolio(portfolio_id=portfolio_id)
    days = history.list_portfolio_days(portfolio_id=portfolio_id).filter(day__lte=end)
    if start is not None:
        days = days.filter(day__gte=start)
    return [_totals(row) for row in days.order_by("day")]


def start_of(chosen: Range, *, end: dt.date) -> dt.date | None:
    """Return the first day of a range that ends on `end`: that day of its month, or the month's last; None for all."""
    if chosen is Range.ALL:
        return None
    year, month = divmod(end.year * 12 + end.month - 1 - _MONTHS[chosen], 12)
    if year < dt.MINYEAR:
        return dt.date.min
    return dt.date(year, month + 1, min(end.day, monthrange(year, month + 1)[1]))


def _totals(row: "PortfolioDay") -> Totals:
    return Totals(row.day, row.currency, row.assets, row.debts, row.assets + row.debts, row.estimated, row.missing)


def difference(before: Decimal, after: Decimal) -> Difference:
    """Return how a figure changed from `before` to `after`."""
    if before == 0:
        return Difference(after - before, None)
    percent = (after - before) * 100 / abs(before)
    return Difference(after - before, percent.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))

"""The rollup: daily worth of assets and portfolios, from observed values, transactions and rates."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import batched
from typing import NamedTuple
from uuid import UUID

from django.db import connections

from fatfire.kit import clock
from fatfire.kit.batches import delete_some
from fatfire.kit.money import MINOR_DIGITS, SCALE
from services.core import queries as core
from services.exchange import queries as exchange
from services.history.models import AssetDay, PortfolioDay, RollupState
from services.jobs.operations import Progress
from tenants.isolation import current_alias, operator

BATCH = 50
"""Portfolios per statement and transaction: few enough that decades of history of each take less than the lease."""
_SOUGHT_AT_ONCE = 10_000

_EARLIEST = dt.date(1900, 1, 1)
_LARGEST = 2**63 - 1
"""The largest amount that a MoneyField can hold, in ten-thousandths."""


@dataclass(frozen=True, slots=True)
class Written:
    """How many stored rows a rollup changed; all zero when everything was right already."""

    portfolios: int = 0
    asset_days: int = 0
    portfolio_days: int = 0

    def __add__(self, other: "Written") -> "Written":
        """Add up."""
        return Written(
            self.portfolios + other.portfolios,
            self.asset_days + other.asset_days,
            self.portfolio_days + other.portfolio_days,
        )


def roll_up_portfolio(*, portfolio_id: UUID, at: dt.datetime) -> Written:
    """Bring one portfolio's history up to date, in the open scope: what changed, and the days until its local today.

    Repeatable: a second run writes nothing. A portfolio that is being deleted, or is gone, is nothing to do.
    """
    return _roll_up([portfolio_id], at=at, skip_locked=False)


def roll_up_due(*, at: dt.datetime, progress: Progress) -> Written:
    """Bring every portfolio up to date whose day has turned, whose values changed, or whose rates are newer.

    Local dates are compared, not clocks: a day of 23 or 25 hours, or one that passed while nothing ran, is caught up.
    Across tenants, BATCH portfolios in each transaction. Repeatable.

    One that another transaction holds is passed over at first, and waited for at the end: its holder may have begun
    before the rates or values came that make it due.
    """
    with operator():
        zones = core.list_portfolios().values_list("time_zone", flat=True).distinct()
        today = {zone: clock.local_date(at, zone) for zone in zones}
    total = Written()
    for size, skip_locked in ((BATCH, True), (1, False)):
        seen = UUID(int=0)
        while due := _due_portfolios(after=seen, today=today):
            seen = due[-1]
            for batch in batched(due, size):
                with operator():
                    total += _roll_up(batch, at=at, skip_locked=skip_locked)
                    progress.report(total.portfolios, note="Working out what everything was worth")
    return total


def delete_asset_days(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` days of the portfolio's assets, and return how many. In the open scope."""
    return delete_some(AssetDay.objects.filter(asset__portfolio_id=portfolio_id), limit=limit)


def delete_portfolio_days(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` days of the portfolio, and return how many. In the open scope."""
    return delete_some(PortfolioDay.objects.filter(portfolio_id=portfolio_id), limit=limit)


def delete_rollup_state(*, portfolio_id: UUID, limit: int) -> int:
    """Forget how far the portfolio is rolled up; return how many rows that were. In the open scope."""
    return delete_some(RollupState.objects.filter(portfolio_id=portfolio_id), limit=limit)


def _due_portfolios(*, after: UUID, today: dict[str, dt.date]) -> list[UUID]:
    """Return the next portfolios with something to do, by id. `today` has the local date in each time zone."""
    with operator(), connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            SELECT p.id FROM core_portfolio p
            JOIN unnest(%(zones)s::text[], %(days)s::date[]) AS zone (name, today) ON zone.name = p.time_zone
            LEFT JOIN history_rollupstate s ON s.tenant_id = p.tenant_id AND s.portfolio_id = p.id
            WHERE p.id > %(after)s AND p.deleting_since IS NULL AND (
                p.revalue_from IS NOT NULL OR s.id IS NULL OR s.rolled_to < zone.today
                OR (s.rates_load < %(rates_load)s AND EXISTS (
                    SELECT FROM core_asset a
                    WHERE a.tenant_id = p.tenant_id AND a.portfolio_id = p.id AND a.currency <> p.currency)))
            ORDER BY p.id LIMIT %(limit)s
            """,
            {
                "zones": list(today),
                "days": list(today.values()),
                "after": after,
                "rates_load": exchange.newest_load(),
                "limit": _SOUGHT_AT_ONCE,
            },
        )
        return [row[0] for row in cursor]


class _Locked(NamedTuple):
    """A portfolio that is being rolled up. The last two are None when it never was."""

    id: UUID
    currency: str
    time_zone: str
    changed_from: dt.date | None
    rolled_to: dt.date | None
    rates_load: int | None


def _roll_up(portfolio_ids: Sequence[UUID], *, at: dt.datetime, skip_locked: bool) -> Written:
    """Roll the portfolios up in one statement, and note how far they are."""
    newest_load = exchange.newest_load()  # read first: of rates that arrive from now on, the next run makes sure
    with connections[current_alias()].cursor() as cursor:
        # The lock makes writers of values wait, or be seen: they mark the portfolio's row in the same transaction.
        cursor.execute(
            f"""
            SELECT p.id, p.currency, p.time_zone, p.revalue_from, s.rolled_to, s.rates_load
            FROM core_portfolio p
            LEFT JOIN history_rollupstate s ON s.tenant_id = p.tenant_id AND s.portfolio_id = p.id
            WHERE p.id = ANY(%s) AND p.deleting_since IS NULL ORDER BY p.id
            FOR NO KEY UPDATE OF p {"SKIP LOCKED" if skip_locked else ""}
            """,  # noqa: S608  # one of two literals
            [list(portfolio_ids)],
        )
        rows = [_Locked(*row) for row in cursor]
        if not rows:
            return Written()
        oldest_load = min((row.rates_load for row in rows if row.rates_load is not None), default=newest_load)
        rates_from = exchange.first_day_changed(since=oldest_load) if oldest_load < newest_load else None
        ids, today = [row.id for row in rows], [clock.local_date(at, row.time_zone) for row in rows]
        cursor.execute("SET LOCAL work_mem = '64MB'")  # a long history would be sorted on disk
        cursor.execute(
            _statement(),
            {
                "portfolio_ids": ids,
                "currencies": [row.currency for row in rows],
                "units": [10 ** (SCALE - MINOR_DIGITS[row.currency]) for row in rows],
                "from_days": [_first_day(row, day, rates_from) for row, day in zip(rows, today, strict=True)],
                "changed_days": [row.changed_from for row in rows],
                "to_days": today,
                "fresh_days": exchange.FRESH_DAYS,
                "earliest": _EARLIEST,
                "largest": _LARGEST,
            },
        )
        asset_days, portfolio_days = cursor.fetchone()
        cursor.execute(
            """
            INSERT INTO history_rollupstate (id, tenant_id, portfolio_id, rolled_to, rates_load)
            SELECT gen_random_uuid(), p.tenant_id, p.id, t.day, %(rates_load)s
            FROM unnest(%(ids)s::uuid[], %(days)s::date[]) AS t (id, day) JOIN core_portfolio p ON p.id = t.id
            ON CONFLICT (tenant_id, portfolio_id) DO UPDATE
            SET rolled_to = excluded.rolled_to, rates_load = excluded.rates_load
            WHERE (history_rollupstate.rolled_to, history_rollupstate.rates_load)
                IS DISTINCT FROM (excluded.rolled_to, excluded.rates_load)
            """,
            {"ids": ids, "days": today, "rates_load": newest_load},
        )
        cursor.execute(
            "UPDATE core_portfolio SET revalue_from = NULL WHERE id = ANY(%s) AND revalue_from IS NOT NULL", [ids]
        )
    return Written(len(rows), asset_days, portfolio_days)


def _first_day(row: _Locked, today: dt.date, rates_from: dt.date | None) -> dt.date:
    """Return the first day to work out: all of them at first, then what is new, changed, or has newer rates."""
    if row.rolled_to is None:
        return _EARLIEST
    candidates = [today, row.rolled_to + dt.timedelta(days=1)]
    if row.changed_from is not None:
        candidates.append(row.changed_from)
    if rates_from is not None:
        candidates.append(rates_from)
    return min(candidates)


@cache
def _statement() -> str:
    return files("services.history").joinpath("rollup.sql").read_text()

"""The rollup: daily worth of assets and portfolios, from observed values, transactions and rates."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from uuid import UUID

from django.db import connections

from fatfire.kit.money import MINOR_DIGITS
from services.exchange import queries as exchange
from services.jobs.operations import Progress
from tenants.isolation import current_alias, operator

BATCH = 200
"""Portfolios per statement and transaction of the platform's rollup."""

_EARLIEST = dt.date(1900, 1, 1)


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
    """Bring one portfolio's history up to date, in the open scope: what changed, and the days until today in its time zone.

    Repeatable: a second run writes nothing. A portfolio that no longer exists is nothing to do.
    """
    return _roll_up([portfolio_id], at=at, skip_locked=False)


def roll_up_due(*, at: dt.datetime, progress: Progress) -> Written:
    """Bring every portfolio up to date whose day has turned, whose values changed, or for whose currencies newer rates came.

    Local dates are compared, not clocks, so a day that has 23 or 25 hours, or that passed while nothing ran, is caught up.
    Across tenants, BATCH portfolios in each transaction; one that another worker is rolling up is left to it. Repeatable.
    """
    total, seen = Written(), UUID(int=0)
    while True:
        with operator():
            due = _due_portfolios(after=seen, at=at)
            if not due:
                return total
            total += _roll_up(due, at=at, skip_locked=True)
            seen = due[-1]
            progress.report(total.portfolios, note="Working out what everything was worth")


def _due_portfolios(*, after: UUID, at: dt.datetime) -> list[UUID]:
    """Return the next BATCH of portfolios with something to do, by id."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(
            """
            SELECT p.id FROM core_portfolio p
            LEFT JOIN history_rollupstate s ON s.tenant_id = p.tenant_id AND s.portfolio_id = p.id
            WHERE p.id > %(after)s AND (
                p.revalue_from IS NOT NULL OR s.id IS NULL
                OR s.rolled_to < (%(at)s::timestamptz AT TIME ZONE p.time_zone)::date
                OR (s.rates_to IS DISTINCT FROM %(rates_to)s AND EXISTS (
                    SELECT FROM core_asset a
                    WHERE a.tenant_id = p.tenant_id AND a.portfolio_id = p.id AND a.currency <> p.currency)))
            ORDER BY p.id LIMIT %(batch)s
            """,
            {"after": after, "at": at, "rates_to": exchange.newest_rate_day(), "batch": BATCH},
        )
        return [row[0] for row in cursor]


def _roll_up(portfolio_ids: Sequence[UUID], *, at: dt.datetime, skip_locked: bool) -> Written:
    """Roll the portfolios up in one statement, and note how far they are."""
    rates_to = exchange.newest_rate_day()
    with connections[current_alias()].cursor() as cursor:
        # The lock makes writers of values wait, or be seen: they mark the portfolio's row in the same transaction.
        cursor.execute(
            f"""
            SELECT p.id, p.currency, (%(at)s::timestamptz AT TIME ZONE p.time_zone)::date,
                   p.revalue_from, s.rolled_to, s.rates_to
            FROM core_portfolio p
            LEFT JOIN history_rollupstate s ON s.tenant_id = p.tenant_id AND s.portfolio_id = p.id
            WHERE p.id = ANY(%(ids)s) ORDER BY p.id
            FOR NO KEY UPDATE OF p {"SKIP LOCKED" if skip_locked else ""}
            """,  # noqa: S608  # one of two literals
            {"ids": list(portfolio_ids), "at": at},
        )
        rows = cursor.fetchall()
        if not rows:
            return Written()
        ids = [row[0] for row in rows]
        cursor.execute(
            _statement(),
            {
                "portfolio_ids": ids,
                "currencies": [row[1] for row in rows],
                "digits": [MINOR_DIGITS[row[1]] for row in rows],
                "from_days": [_first_day(*row[2:], rates_to=rates_to) for row in rows],
                "to_days": [row[2] for row in rows],
                "fresh_days": exchange.FRESH_DAYS,
            },
        )
        asset_days, asset_days_gone, portfolio_days, portfolio_days_gone = cursor.fetchone()
        cursor.execute(
            """
            INSERT INTO history_rollupstate (id, tenant_id, portfolio_id, rolled_to, rates_to)
            SELECT gen_random_uuid(), p.tenant_id, p.id, t.day, %(rates_to)s
            FROM unnest(%(ids)s, %(days)s::date[]) AS t (id, day) JOIN core_portfolio p ON p.id = t.id
            ON CONFLICT (tenant_id, portfolio_id) DO UPDATE SET rolled_to = excluded.rolled_to, rates_to = excluded.rates_to
            WHERE (history_rollupstate.rolled_to, history_rollupstate.rates_to)
                IS DISTINCT FROM (excluded.rolled_to, excluded.rates_to)
            """,
            {"ids": ids, "days": [row[2] for row in rows], "rates_to": rates_to},
        )
        cursor.execute(
            "UPDATE core_portfolio SET revalue_from = NULL WHERE id = ANY(%s) AND revalue_from IS NOT NULL", [ids]
        )
    return Written(len(rows), asset_days + asset_days_gone, portfolio_days + portfolio_days_gone)


def _first_day(
    today: dt.date,
    revalue_from: dt.date | None,
    rolled_to: dt.date | None,
    rates_to_then: dt.date | None,
    *,
    rates_to: dt.date | None,
) -> dt.date:
    """Return the first day to work out: all of them at first, then what is new or was worked out with older rates."""
    if rolled_to is None:
        return _EARLIEST
    candidates = [today, rolled_to + dt.timedelta(days=1)]
    if revalue_from is not None:
        candidates.append(revalue_from)
    if rates_to != rates_to_then:
        candidates.append(rates_to_then + dt.timedelta(days=1) if rates_to_then else _EARLIEST)
    return min(candidates)


@cache
def _statement() -> str:
    return files("services.history").joinpath("rollup.sql").read_text()

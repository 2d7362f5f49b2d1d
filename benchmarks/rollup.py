"""Time of the history's rollup for one new day and for a first backfill, against the tests' reference in plain Python.

The reference reads each portfolio's facts through the ORM, has all rates in memory beforehand and writes nothing; ours
reads, writes and commits. Both are asserted equal on a sample. The last line is JSON: `ratio` says how many times
longer the reference would take for the new day of all portfolios; the `backfill` figures of all days before it.
"""

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import time
from pathlib import Path
from uuid import UUID

import django
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import plugin  # gives this process a database of its own

django.setup()

from services.core.models import Portfolio
from services.exchange.operations import load_rates
from services.history.operations import Written
from tenants.isolation import operator
from tests.factories import AT
from tests.services.history import reference, rolling

ROUNDS, SAMPLE, ONE_DAY = 5, 5, dt.timedelta(days=1)
TODAY = AT.date()

# A weekly value and a transaction every third day; every second asset in another currency than its portfolio.
FILL = """
    INSERT INTO tenants_tenant (id, name, slug, home_currency, time_zone, country, created_at)
    SELECT gen_random_uuid(), 'T', 'bench-' || n, 'AUD', 'UTC', 'AU', now()
    FROM generate_series(1, %(portfolios)s / 2) n;
    INSERT INTO core_portfolio (id, tenant_id, name, currency, time_zone, created_at)
    SELECT gen_random_uuid(), t.id, 'P' || n, (ARRAY['AUD', 'EUR'])[n],
           (ARRAY['Australia/Sydney', 'Europe/Berlin'])[n], now()
    FROM tenants_tenant t CROSS JOIN generate_series(1, 2) n;
    INSERT INTO core_asset (id, tenant_id, portfolio_id, name, kind, side, currency, institution, source, created_at)
    SELECT gen_random_uuid(), p.tenant_id, p.id, 'A' || n, 'other', 'asset',
           (ARRAY['AUD', 'USD', 'EUR', 'JPY', 'GBP'])[1 + n %% 5], '', 'manual', now()
    FROM core_portfolio p CROSS JOIN generate_series(1, %(assets)s) n;
    CREATE TEMPORARY TABLE span AS
    SELECT a.tenant_id, a.id AS asset_id,
           %(today)s - CASE WHEN dense_rank() OVER (ORDER BY portfolio_id) <= %(long)s THEN %(days)s ELSE 3 END
               AS first_day
    FROM core_asset a;
    INSERT INTO core_valuation (id, tenant_id, asset_id, "on", value, source, observed_at)
    SELECT gen_random_uuid(), tenant_id, asset_id, first_day + n, (random() * 1e9)::bigint * 100, 'manual', now()
    FROM span CROSS JOIN LATERAL generate_series(0, %(today)s - first_day, 7) n;
    INSERT INTO core_transaction (
        id, tenant_id, asset_id, source, booked_on, amount, description, merchant, category, note, pending, created_at)
    SELECT gen_random_uuid(), tenant_id, asset_id, 'manual', first_day + n, (random() * 1e6)::bigint * 100,
           '', '', '', '', false, now()
    FROM span CROSS JOIN LATERAL generate_series(1, %(today)s - first_day, 3) n;
"""


def fill(portfolios: int, long: int, assets: int, days: int) -> list[UUID]:
    """Make portfolios, the first `long` with `days` of history, the others with three; return the long ones' ids."""
    facts = {"portfolios": portfolios, "long": long, "assets": assets, "days": days, "today": TODAY}
    with psycopg.connect(plugin.admin_dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor) as admin:
        admin.execute(FILL, facts)
        admin.execute("ANALYZE")
        return [row[0] for row in admin.execute("SELECT id FROM core_portfolio ORDER BY id LIMIT %s", [long])]


def timed_rollup(at: dt.datetime) -> tuple[float, Written]:
    """Roll up all that is due; return the seconds and what was written."""
    start = time.perf_counter()
    written = rolling.roll_up(at)
    return time.perf_counter() - start, written


def naive_seconds(portfolio_ids: list[UUID], rates: reference.Rates, today: dt.date, *, whole: bool) -> float:
    """Return the seconds per portfolio of the reference: for one day, or for the `whole` history."""
    start = time.perf_counter()
    for portfolio_id in portfolio_ids:
        with operator():
            portfolio = Portfolio.objects.get(id=portfolio_id)
            assets = reference.assets_of(portfolio)
        if whole:
            reference.asset_days(assets, today)
            reference.portfolio_days(assets, portfolio.currency, today, rates)
        else:
            worths = [(each, reference.worth_of(each, today)) for each in assets.values()]
            for asset, worth in worths:
                assert worth is not None
                reference.converted(worth, asset.currency, portfolio.currency, today, rates)
    return (time.perf_counter() - start) / len(portfolio_ids)


def main() -> None:
    """Fill, backfill, then take turns at one new day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portfolios", type=int, default=2000)
    parser.add_argument("--long", type=int, default=100, help="portfolios with a long history")
    parser.add_argument("--assets", type=int, default=5, help="assets of each portfolio")
    parser.add_argument("--days", type=int, default=730, help="days of a long history")
    wanted = parser.parse_args()

    load_rates(url="")
    long_ids = fill(wanted.portfolios, wanted.long, wanted.assets, wanted.days)
    with operator():
        rates = reference.all_rates()
    sample = long_ids[:SAMPLE]

    backfill_s, backfilled = timed_rollup(AT)
    naive_backfill_s = naive_seconds(sample[:1], rates, TODAY, whole=True)
    print(f"backfill: {backfilled}, {backfill_s:.2f} s")

    figures = []
    for number in range(1, ROUNDS + 1):
        at = AT + number * ONE_DAY
        naive_s = naive_seconds(sample, rates, at.date(), whole=False)
        rollup_s, written = timed_rollup(at)
        assert written == Written(wanted.portfolios, wanted.portfolios * wanted.assets, wanted.portfolios), written
        figures.append((rollup_s, naive_s))
    again_s, again = timed_rollup(at)
    for portfolio_id in sample[:2]:
        assert rolling.stored(portfolio_id) == rolling.expected(portfolio_id, at)

    rollup_s, naive_s = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"one new day of {wanted.portfolios} portfolios: {rollup_s:.2f} s, median of {ROUNDS}")
    print(f"nothing due: {again_s:.2f} s")
    print(f"reference, for each portfolio: one day {naive_s:.4f} s, {wanted.days} days {naive_backfill_s:.2f} s")
    shown = {
        "portfolios": wanted.portfolios,
        "assets": wanted.assets,
        "days": wanted.days,
        "rollup_s": round(rollup_s, 3),
        "naive_s_per_portfolio": round(naive_s, 4),
        "ratio": round(naive_s * wanted.portfolios / rollup_s),
        "backfill_rows": backfilled.asset_days + backfilled.portfolio_days,
        "backfill_s": round(backfill_s, 2),
        "naive_backfill_s_per_portfolio": round(naive_backfill_s, 2),
        "rows_second_run": again.asset_days + again.portfolio_days,
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    try:
        main()
    finally:
        plugin.pytest_unconfigure()

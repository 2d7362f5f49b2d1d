"""What the console's first page shows: figures of now and of the last 24 hours, each from one query."""

import datetime as dt
from typing import Any

from fatfire.console import charts
from services.accounts import queries as accounts
from services.core import queries as core
from services.exchange import queries as exchange
from services.integration import queries as integration
from services.jobs import queries as jobs
from services.jobs.models import State
from services.telemetry import queries as telemetry

MOST_ROWS = 8
LATE_S = 60
"""A step that could have been run for so long tells that the workers don't keep up."""


def figures(*, at: dt.datetime) -> dict[str, Any]:
    """Return the figures, across tenants; the number of queries is the same whatever there is."""
    since = charts.first_hour(at)
    open_jobs, wait, rates_on = jobs.open_jobs_by_state(), jobs.longest_wait(at=at), exchange.newest_day()
    return {
        "tenants": accounts.tenant_count(),
        "people": accounts.user_count(),
        "portfolios": core.portfolio_count(),
        "assets": core.asset_count(),
        "queued": open_jobs.get(State.QUEUED, 0),
        "running": open_jobs.get(State.RUNNING, 0),
        "wait_s": int(wait.total_seconds()),
        "is_late": wait.total_seconds() > LATE_S,
        "revoked_links": integration.revoked_link_count(),
        "rates_on": rates_on,
        "rates_are_old": rates_on is None or exchange.is_estimate(rate_on=rates_on, on=at.date()),
        "job_chart": charts.draw(
            ((each.hour, each.succeeded, each.failed) for each in jobs.ended_by_hour(since=since)), at=at
        ),
        "request_chart": charts.draw(
            ((each.hour, each.answered, each.failed) for each in telemetry.requests_by_hour(since=since)), at=at
        ),
        "routes": telemetry.slowest_routes(since=since, most=MOST_ROWS),
        "failures": jobs.newest_failures(since=since, most=MOST_ROWS),
    }


def rates(*, at: dt.datetime) -> dict[str, Any]:
    """Return the newest rate of each currency, and whether it is too old to be more than an estimate."""
    newest = exchange.newest_rates()
    return {"rates": [(each, exchange.is_estimate(rate_on=each.on, on=at.date())) for each in newest]}

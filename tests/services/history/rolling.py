"""Running the rollup and reading what it wrote, for the tests of it."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from fatfire.kit import clock
from services.core.models import Portfolio
from services.exchange.models import Rate
from services.exchange.queries import newest_load
from services.history import operations
from services.history.jobs import ROLL_UP_DUE
from services.history.models import AssetDay, PortfolioDay
from services.history.operations import Written
from services.jobs import operations as jobs
from services.jobs.operations import Progress
from tenants.isolation import operator
from tests.factories import AT
from tests.services.history import reference
from tests.services.history.reference import Total, Worth


def claimed_progress() -> Progress:
    """Return the progress of a claimed job of the platform."""
    with operator():
        job = jobs.enqueue(kind=ROLL_UP_DUE, at=AT)
    claim = jobs.claim(tenant_id=None, job_id=job.id, clock=lambda: AT)
    assert claim
    return claim.progress


def roll_up(at: dt.datetime = AT) -> Written:
    """Roll up all that is due at `at`, as a job."""
    progress = claimed_progress()
    written = operations.roll_up_due(at=at, progress=progress)
    with operator():
        jobs.succeed(claim=progress.claim, output={}, at=AT)
    return written


def add_rates(rates: dict[tuple[str, dt.date], str]) -> None:
    """Add or correct rates, as one load."""
    with operator():
        load = newest_load() + 1
        Rate.objects.bulk_create(
            [Rate(currency=name, on=on, per_euro=Decimal(rate), load=load) for (name, on), rate in rates.items()],
            update_conflicts=True,
            unique_fields=["currency", "on"],
            update_fields=["per_euro", "load"],
        )


def stored(portfolio_id: UUID) -> tuple[dict[tuple[str, dt.date], Worth], dict[dt.date, Total]]:
    """Return the stored days of the portfolio's assets and of itself, oldest first."""
    with operator():
        asset_days = {
            (str(row.asset_id), row.day): Worth(row.value, row.estimated)
            for row in AssetDay.objects.filter(asset__portfolio_id=portfolio_id).order_by("day")
        }
        rows = PortfolioDay.objects.filter(portfolio_id=portfolio_id).order_by("day")
        return asset_days, {row.day: Total(row.assets, row.debts, row.estimated, row.missing) for row in rows}


def expected(portfolio_id: UUID, at: dt.datetime) -> tuple[dict[tuple[str, dt.date], Worth], dict[dt.date, Total]]:
    """Return what the reference makes of the same facts."""
    with operator():
        portfolio = Portfolio.objects.get(id=portfolio_id)
        assets, rates = reference.assets_of(portfolio), reference.all_rates()
    today = clock.local_date(at, portfolio.time_zone)
    return (
        reference.asset_days(assets, today),
        reference.portfolio_days(assets, portfolio.currency, today, rates),
    )

"""Jobs for testing the guard of all jobs: one as it should be, and two with a fault."""

from services.core import operations as core
from services.core.models import Asset, AssetKind, Portfolio, Side
from services.jobs.jobs import JobKind
from services.jobs.operations import ClaimedJob
from tenants.isolation import tenant
from tests.contracts.bank import NOW
from workers.runner import task

ADDS_ONCE = JobKind("test.adds_once")
ADDS_EACH_TIME = JobKind("test.adds_each_time")
LINKS_DIFFERENTLY = JobKind("test.links_differently")


@task(ADDS_ONCE)
def add_once(job: ClaimedJob) -> None:
    """Import an asset, which its external id makes repeatable."""
    with tenant(job.tenant):
        import_asset(Portfolio.objects.order_by("name").first(), "once")
        job.progress.report(1, 1)


@task(ADDS_EACH_TIME)
def add_each_time(job: ClaimedJob) -> None:
    """Add an asset whether it was added before or not."""
    with tenant(job.tenant):
        Asset.objects.create(
            portfolio=Portfolio.objects.order_by("name").first(),
            name="Added",
            kind=AssetKind.OTHER,
            side=Side.ASSET,
            currency="AUD",
        )


@task(LINKS_DIFFERENTLY)
def link_differently(job: ClaimedJob) -> None:
    """Put the asset into the second portfolio when tried again: as many rows as ever, only wrongly linked."""
    with tenant(job.tenant):
        portfolios = Portfolio.objects.order_by("name")
        import_asset(portfolios.first() if job.attempt == 1 else portfolios.last(), "linked")


def import_asset(portfolio: Portfolio, external_id: str) -> None:
    core.import_asset(
        portfolio_id=portfolio.id,
        source="test",
        external_id=external_id,
        name="Imported",
        kind=AssetKind.OTHER,
        side=Side.ASSET,
        currency="AUD",
        institution="",
        at=NOW,
    )

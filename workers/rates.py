"""Jobs of the exchange service."""

from django.conf import settings

from services.exchange import jobs, operations
from services.jobs.operations import ClaimedJob
from workers.runner import Output, task


@task(jobs.LOAD_RATES)
def load_rates(job: ClaimedJob) -> Output:
    """Bring the exchange rates up to date."""
    return {"rows": operations.load_rates(url=settings.RATES_URL)}

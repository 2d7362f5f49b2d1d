"""Jobs of the exchange service."""

from django.conf import settings

from services.exchange import jobs, operations
from services.history.jobs import ROLL_UP_DUE
from services.jobs.operations import ClaimedJob, enqueue
from tenants.isolation import operator
from workers.runner import Output, task


@task(jobs.LOAD_RATES)
def load_rates(job: ClaimedJob) -> Output:
    """Bring the exchange rates up to date, and what is worth something else by the new ones."""
    rows = operations.load_rates(url=settings.RATES_URL)
    if rows:  # a worker that dies before this leaves it to the schedule
        with operator():
            enqueue(kind=ROLL_UP_DUE, at=job.clock())
    return {"rows": rows}

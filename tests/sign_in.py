"""Sign-in links that were asked for, sent as a worker would; other jobs are left where they are."""

import datetime as dt

from fatfire.kit import clock
from services.accounts.jobs import SEND_SIGN_IN_LINK
from services.jobs.models import Job, State
from tenants.isolation import operator
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


def send_links(*, at: dt.datetime | None = None) -> int:
    """Run the jobs that send links, oldest first; return how many there were."""
    with operator():
        queued = Job.objects.filter(kind=SEND_SIGN_IN_LINK.name, state=State.QUEUED).order_by("created_at")
        ids = list(queued.values_list("id", flat=True))
    return sum(advance(job_id=each, tenant_id=None, now=lambda: at or clock.now()) for each in ids)

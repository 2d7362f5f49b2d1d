"""What core asks to have done in the background."""

from services.jobs.jobs import Backoff, JobKind, Queue

# Worked by the history service, which stands above this one: workers.history_rollup joins the two.
REVALUE_PORTFOLIO = JobKind(
    "core.revalue_portfolio", queue=Queue.HISTORY, time_limit_s=600, lease_s=300, retry=Backoff(first_s=2, times=5)
)

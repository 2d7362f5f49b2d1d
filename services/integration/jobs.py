"""What the integration service does in the background."""

from services.jobs.jobs import Backoff, JobKind, Queue

# The lease outlasts two of a bank's slowest answers, and writing two years of transactions.
SYNC_LINK = JobKind(
    "integration.sync_link", queue=Queue.BANK_SYNC, time_limit_s=600, lease_s=120, retry=Backoff(first_s=5, times=5)
)
REMOVE_LINK = JobKind(
    "integration.remove_link", queue=Queue.BANK_SYNC, time_limit_s=60, retry=Backoff(first_s=5, times=8)
)

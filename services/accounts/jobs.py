"""Jobs of the accounts service."""

from services.jobs.jobs import Backoff, JobKind, Reach

SEND_SIGN_IN_LINK = JobKind(
    "accounts.send_sign_in_link", reach=Reach.PLATFORM, time_limit_s=60, retry=Backoff(first_s=5, times=6)
)

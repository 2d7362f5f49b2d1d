"""What the exchange service does in the background."""

from services.jobs.jobs import Backoff, JobKind, Reach

LOAD_RATES = JobKind("exchange.load_rates", reach=Reach.PLATFORM, time_limit_s=300, retry=Backoff(first_s=60, times=8))

"""Jobs of the cleanup service."""

from services.jobs.jobs import JobKind, Reach

APPLY_RETENTION = JobKind("cleanup.apply_retention", reach=Reach.PLATFORM, time_limit_s=900)

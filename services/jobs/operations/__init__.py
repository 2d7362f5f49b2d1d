"""Moving jobs: enqueue, claim, report, finish, cancel, retry, sweep."""

from services.jobs.operations.asking import (
    JobAlreadyOpen,
    JobNotFailed,
    JobNotOpen,
    cancel_job,
    delete_finished_jobs,
    enqueue,
    enqueue_for_anyone,
    hold_job,
    retry_job,
)
from services.jobs.operations.claims import (
    ClaimedJob,
    JobStopped,
    LeaseLost,
    OutOfTime,
    Progress,
    TimeLimitExceeded,
)
from services.jobs.operations.running import claim, fail, retry_later, succeed
from services.jobs.operations.sweeping import SWEEP_BATCH, sweep, take_over

__all__ = [
    "SWEEP_BATCH",
    "ClaimedJob",
    "JobAlreadyOpen",
    "JobNotFailed",
    "JobNotOpen",
    "JobStopped",
    "LeaseLost",
    "OutOfTime",
    "Progress",
    "TimeLimitExceeded",
    "cancel_job",
    "claim",
    "delete_finished_jobs",
    "enqueue",
    "enqueue_for_anyone",
    "fail",
    "hold_job",
    "retry_job",
    "retry_later",
    "succeed",
    "sweep",
    "take_over",
]

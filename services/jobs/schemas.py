"""What the API gives for jobs."""

import datetime as dt
from typing import Any, Self
from uuid import UUID

from ninja import Schema

from services.jobs.models import Job, JobStep, State


class StepOut(Schema):
    """One step of a job."""

    name: str
    state: State
    attempts: int
    input: dict[str, Any]
    output: dict[str, Any]
    error_code: str
    error_detail: str
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


class JobOut(Schema):
    """A job: what it does to what, how far it is, and how it ended."""

    id: UUID
    kind: str
    subject_id: UUID | None
    state: State
    progress_done: int
    progress_total: int | None
    progress_note: str
    error_code: str
    error_detail: str
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return what is shown of the job."""
        return cls.model_validate(job, from_attributes=True)


class JobDetail(JobOut):
    """A job with its steps, in order."""

    steps: list[StepOut]

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return what is shown of a job whose steps were fetched."""
        steps: list[JobStep] = list(job.steps.all())
        shown = {name: getattr(job, name) for name in JobOut.model_fields}
        return cls(**shown, steps=[StepOut.model_validate(step, from_attributes=True) for step in steps])

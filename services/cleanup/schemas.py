"""What the API gives for deletions."""

from uuid import UUID

from ninja import Schema


class DeletionStarted(Schema):
    """The job that deletes; `GET /jobs/{job_id}` tells how far it is."""

    job_id: UUID

"""Background jobs over HTTP."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from fatfire.kit.clock import now
from fatfire.kit.errors import PermissionDenied
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.jobs import operations, queries
from services.jobs.models import State
from services.jobs.schemas import JobDetail, JobOut

router = Router(tags=["Jobs"])


@router.get("/jobs", response=PageOf[JobOut])
def list_jobs(
    request: HttpRequest,
    page: Query[PageQuery],
    kind: str | None = None,
    state: State | None = None,
    subject_id: UUID | None = None,
) -> PageOf[JobOut]:
    """List the jobs, newest first."""
    rows = queries.list_jobs(kind=kind, state=state, subject_id=subject_id)
    found = paginate(rows, order=("-created_at", "-id"), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[JobOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.get("/jobs/{job_id}", response=JobDetail)
def get_job(request: HttpRequest, job_id: UUID) -> JobDetail:
    """Show a job and its steps."""
    return JobDetail.of(queries.get_job(job_id=job_id))


@router.post("/jobs/{job_id}/cancel", response=JobDetail)
def cancel_job(request: HttpRequest, job_id: UUID) -> JobDetail:
    """Stop a job that is queued or running; what it wrote so far stays. Some kinds need an admin."""
    _require_role(request, job_id)
    operations.cancel_job(job_id=job_id, at=now())
    return JobDetail.of(queries.get_job(job_id=job_id))


@router.post("/jobs/{job_id}/retry", response=JobDetail)
def retry_job(request: HttpRequest, job_id: UUID) -> JobDetail:
    """Try a failed or cancelled job again, from the steps that did not succeed. Some kinds need an admin."""
    _require_role(request, job_id)
    operations.retry_job(job_id=job_id, at=now())
    return JobDetail.of(queries.get_job(job_id=job_id))


def _require_role(request: HttpRequest, job_id: UUID) -> None:
    """Refuse who may not move a job of this kind.

    Raises:
        Job.DoesNotExist: not this tenant's.
        PermissionDenied: the role is too small.
    """
    needed = queries.role_to_move(job=queries.get_job(job_id=job_id))
    if not request.principal.role.allows(needed):  # type: ignore[attr-defined]
        raise PermissionDenied

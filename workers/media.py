"""Jobs of the media service."""

from django.conf import settings

from services.jobs.operations import ClaimedJob
from services.media import jobs, operations
from workers.runner import Output, task


@task(jobs.PREPARE)
def prepare_video(job: ClaimedJob) -> Output:
    """Look at a video, and plan the work on it."""
    return operations.run_prepare(job=job)


@task(jobs.MAKE_TRACKS)
def make_tracks(job: ClaimedJob) -> Output:
    """Make a video's sound and captions."""
    return operations.run_tracks(job=job)


@task(jobs.MAKE_POSTER)
def make_poster(job: ClaimedJob) -> Output:
    """Make a video's poster."""
    return operations.run_poster(job=job)


@task(jobs.MAKE_SEGMENT)
def make_segment(job: ClaimedJob) -> Output:
    """Make one segment of a video."""
    return operations.run_segment(job=job)


@task(jobs.ASSEMBLE)
def assemble_rendition(job: ClaimedJob) -> Output:
    """Put a rendition of a video together."""
    return operations.run_assembly(job=job)


@task(jobs.DELETE_VIDEO)
def delete_video(job: ClaimedJob) -> Output:
    """Delete a video with its files."""
    files = operations.run_deletion(
        tenant_id=job.tenant, video_id=job.subject, progress=job.progress, at=job.started_at
    )
    return {"files": files}


@task(jobs.TIDY)
def tidy(job: ClaimedJob) -> Output:
    """Go on with what was left, and let go of what is old."""
    return operations.tidy(
        original_days=settings.KEEP_ORIGINALS_DAYS,
        upload_days=settings.KEEP_UPLOADS_DAYS,
        progress=job.progress,
        at=job.started_at,
    )


@task(jobs.DELETE_STRAYS)
def delete_strays(job: ClaimedJob) -> Output:
    """Delete files to which nothing points."""
    return {"files": operations.delete_strays(progress=job.progress, at=job.started_at)}

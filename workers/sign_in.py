"""Jobs of the accounts service."""

from django.conf import settings

from services.accounts import jobs, sign_in
from services.jobs.operations import ClaimedJob
from workers.runner import Output, task


@task(jobs.SEND_SIGN_IN_LINK)
def send_sign_in_link(job: ClaimedJob) -> Output:
    """Send the link that someone asked for."""
    sign_in.send_link(
        request_id=job.subject,
        site_url=settings.SITE_URL,
        console_url=settings.CONSOLE_URL,
        progress=job.progress,
        at=job.started_at,
    )
    return None

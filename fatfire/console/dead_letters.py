"""The console's page of dead letters: messages on SQS that no worker could run. SQS is never asked in a transaction."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from services.jobs import dead_letters
from services.jobs.dead_letters import DeadQueue
from services.jobs.jobs import Queue
from services.jobs.models import Job
from services.jobs.progress import duration
from tenants import audit
from tenants.isolation import operator

if TYPE_CHECKING:
    from unfold.sites import UnfoldAdminSite

_ACTIONS = {
    "send": ("Send again", dead_letters.send_again, CHANGE),
    "delete": ("Delete", dead_letters.delete, DELETION),
}
_QUESTIONS = {
    "send": "Send this message again to the queue {queue}? If its job has ended, or has a worker, nothing happens.",
    "delete": "Delete this message of the queue {queue}? A job that it is about stays as it is.",
}


class QueueUnreachable(DomainError):
    """SQS doesn't answer as it should."""

    status, code = 503, "queue_unreachable"


def show(site: "UnfoldAdminSite", request: HttpRequest) -> HttpResponse:
    """Return the page of all dead letters."""
    queues = dead_letters.list_dead_letters()
    with operator():
        shown = [{"name": each.queue.value, "error": each.error, "letters": _shown(each)} for each in queues]
        context = {**site.each_context(request), "title": "Dead letters", "queues": shown, "most": dead_letters.MOST}
        return TemplateResponse(request, "console/dead_letters.html", context).render()


def settle(site: "UnfoldAdminSite", request: HttpRequest, *, queue: str, letter_id: str, action: str) -> HttpResponse:
    """Return a page that asks, and by POST do what it asks about; what forbids it is said on the page.

    It is written down before it is done: SQS knows no transaction, and what an operator did must not go unnoted.

    Raises:
        Http404: there is no such queue or action.
    """
    if action not in _ACTIONS or queue not in {each.value for each in dead_letters.queues_with_letters()}:
        raise Http404
    button, do, flag = _ACTIONS[action]
    back, error = reverse("admin:dead_letters"), ""
    if request.method == "POST":
        with operator():
            _note(request, flag, letter_id, f"{button}: {queue}.")
        try:
            letter = do(queue=Queue(queue), letter_id=letter_id)
        except DomainError as refused:
            error = refused.detail
        except (BotoCoreError, ClientError):
            error = QueueUnreachable().detail
        else:
            with operator():
                _tell_tenant(action, letter.job_id)
            messages.success(request, f"Done: {button[0].lower()}{button[1:]}.")
            return HttpResponseRedirect(back)
    with operator():
        context = {
            **site.each_context(request),
            "title": button,
            "question": _QUESTIONS[action].format(queue=queue),
            "button": button,
            "back": back,
            "error": error,
        }
        answer = TemplateResponse(request, "console/ask_first.html", context, status=409 if error else 200)
        return answer.render()


def _shown(queue: DeadQueue) -> list[dict[str, Any]]:
    """Return the letters with their age, and whether there is a job as they say."""
    known = set(Job.objects.filter(id__in=[each.job_id for each in queue.letters]).values_list("id", flat=True))
    return [
        {"letter": each, "age": duration(each.sent_at, now()), "has_job": each.job_id in known}
        for each in queue.letters
    ]


def _note(request: HttpRequest, flag: int, letter_id: str, words: str) -> None:
    """Write into the operators' log what is about to be done."""
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=None,
        object_id=letter_id,
        object_repr="Dead letter",
        action_flag=flag,
        change_message=words,
    )


def _tell_tenant(action: str, job_id: Any) -> None:
    """Tell the owners of the tenant whose job was sent again; of a deleted message there is nothing to tell."""
    job = Job.objects.filter(id=job_id, tenant__isnull=False).first() if action == "send" else None
    if job is not None:
        audit.record(
            action="send_again", subject="job", subject_id=job.id, at=now(), tenant_id=job.tenant_id, kind=job.kind
        )

"""Finding what no message reached, and what a lost worker left behind; across tenants."""

import datetime as dt

from django.db.models import DateTimeField, F, Q, Value

from services.jobs.jobs import JobKind
from services.jobs.models import JobStep, State
from services.jobs.operations.rows import send_on_commit
from tenants.isolation import operator

SWEEP_BATCH = 1000


def sweep(*, at: dt.datetime, resend_after_s: int) -> int:
    """Send a message for each step that is due and that no message has reached, and for each whose worker is lost.

    "Not reached" is a guess: none was sent since the step became due, or the last was sent over `resend_after_s` ago,
    and longer ago than it had been due by then. So behind a long queue the messages about a step become rarer, by a
    doubled wait each time, instead of making the queue longer. A message too many does nothing. Kinds that this release
    doesn't know are left to the one that does. Returns the number sent, at most SWEEP_BATCH. Across tenants, in its own
    transaction.
    """
    kinds = {kind.name: kind for kind in JobKind.all()}
    resend = dt.timedelta(seconds=resend_after_s)
    due = Q(state=State.QUEUED, run_after__lte=at) & _unheard("run_after", at, resend)
    lost = Q(state=State.RUNNING, lease_until__lt=at) & _unheard("lease_until", at, resend)
    with operator():
        found = list(
            JobStep.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .filter(due | lost, job__kind__in=kinds)
            .order_by("run_after")
            .values_list("id", "job_id", "job__kind", "tenant_id")[:SWEEP_BATCH]
        )
        JobStep.objects.filter(id__in=[row[0] for row in found]).update(sent_at=at)
        for _, job_id, kind, tenant_id in found:
            send_on_commit(kinds[kind], job_id, tenant_id)
    return len(found)


def _unheard(due_at: str, at: dt.datetime, resend: dt.timedelta) -> Q:
    """Return the condition that no message, it seems, has reached a step since the moment in its column `due_at`."""
    present = Value(at, output_field=DateTimeField())
    as_long_again = present - (F("sent_at") - F(due_at))
    never = Q(sent_at__isnull=True) | Q(sent_at__lt=F(due_at))
    return never | (Q(sent_at__lt=at - resend) & Q(sent_at__lt=as_long_again))


def take_over(*, at: dt.datetime) -> int:
    """Take every worker for dead and every message for lost; return how many steps were running. Across tenants.

    For the start of a worker that is the only one and whose messages die with it: nobody needs to wait for the leases
    of its killed predecessor to run out. Were it wrong, the steps would run twice, and only one of each could commit.
    """
    with operator():
        JobStep.objects.filter(state=State.QUEUED).update(sent_at=None)
        running = JobStep.objects.filter(state=State.RUNNING, lease_until__gte=at)
        return running.update(lease_until=at - dt.timedelta(microseconds=1))

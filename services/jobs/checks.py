"""Django system checks: each queue's broker is one that we have a transport for, and the queue is one of ours."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from services.jobs.jobs import Queue

SCHEMES = ("memory", "sqs", "lambda")


def check_brokers(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error for each queue or broker that doesn't exist: its messages would go nowhere."""
    return list(broker_errors(broker_url=settings.BROKER_URL, queue_brokers=settings.QUEUE_BROKERS))


def broker_errors(*, broker_url: str, queue_brokers: dict[str, str]) -> Iterable[CheckMessage]:
    """Yield what is wrong with BROKER_URL and QUEUE_BROKERS."""
    for queue in sorted(queue_brokers.keys() - {each.value for each in Queue}):
        queues = ", ".join(each.value for each in Queue)
        yield Error(f"QUEUE_BROKERS names {queue!r}, which is no queue.", hint=f"The queues: {queues}.", id="jobs.E001")
    for url in sorted({broker_url, *queue_brokers.values()}):
        scheme, separator, rest = url.partition("://")
        if scheme not in SCHEMES or not separator or (scheme == "lambda" and not rest):
            yield Error(
                f"There is no transport for the broker {url!r}.",
                hint="memory://localhost/, sqs:// or lambda://function:alias.",
                id="jobs.E002",
            )

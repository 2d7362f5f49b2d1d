"""The Celery app: carries messages that say "look at job 42", nothing else.

No results, no retries, no chords: the Job row is the record (services/jobs). Task code is in workers/ and only worker
processes import it; whoever enqueues sends by name. Each queue has its own broker (BROKER_URL, QUEUE_BROKERS).
"""

from typing import Any

from celery import Celery  # type: ignore[import-untyped]
from django.conf import settings
from kombu import pools
from kombu.transport import TRANSPORT_ALIASES

# By name: who sends nothing through one doesn't import it.
TRANSPORT_ALIASES.update(sqs="workers.sqs_transport:Transport", **{"lambda": "workers.lambda_transport:Transport"})

_OPTIONS: dict[str, dict[str, Any]] = {
    # The in-memory transport polls; at its default of a second every hop of a workflow would wait a second.
    "memory": {"polling_interval": 0.02},
    # A poll that waits costs as much as one that doesn't. Between two, or while all its processes are busy, a worker
    # pauses: for a second by default, in which it would take one message for each process.
    "sqs": {"wait_time_seconds": 20, "polling_interval": 0.02},
}

MOST_DELAY_S = 900
"""SQS delays a message by a quarter of an hour at most."""

app = Celery("fatfire", set_as_current=True)
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_transport_options=_OPTIONS.get(settings.BROKER_URL.partition(":")[0], {}),
    broker_connection_retry_on_startup=True,
    include=["workers.tasks"],
    task_ignore_result=True,
    task_acks_late=True,
    task_acks_on_failure_or_timeout=False,  # what no one could claim comes again, or to the dead letters
    task_default_queue="default",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,  # its broadcasts would need queues of their own
    enable_utc=True,
)


def broker_of(queue: str) -> str:
    """Return the URL of the broker that carries the queue's messages."""
    url: str = settings.QUEUE_BROKERS.get(queue, settings.BROKER_URL)
    return url


def send(*, name: str, queue: str, message: dict[str, Any], delay_s: int = 0) -> None:
    """Send a task's message to its queue's broker, to be delivered in `delay_s` seconds (MOST_DELAY_S at most).

    Only SQS can delay; elsewhere a message that is to be delayed isn't sent: the sweep sends one when the row is due.

    Raises:
        kombu.exceptions.OperationalError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError:
            the broker didn't take it.
    """
    url = broker_of(queue)
    if delay_s and not url.startswith("sqs:"):
        return
    # Queues are there already: declaring one would ask SQS for its attributes.
    options: dict[str, Any] = {"queue": queue, "declare": ()}
    if delay_s:
        options["DelaySeconds"] = min(delay_s, MOST_DELAY_S)
    if url == settings.BROKER_URL:
        app.send_task(name, kwargs=message, **options)
        return
    with pools.producers[app.connection_for_write(url)].acquire(block=True) as producer:
        app.send_task(name, kwargs=message, producer=producer, **options)

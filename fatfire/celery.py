"""The Celery app: carries messages that say "look at job 42", nothing else.

No results, no retries, no chords: the Job row is the record (services/jobs). Task code is in workers/ and only worker
processes import it; whoever enqueues sends by name.
"""

from celery import Celery  # type: ignore[import-untyped]
from django.conf import settings

app = Celery("fatfire", set_as_current=True)
app.conf.update(
    broker_url=settings.BROKER_URL,
    # The in-memory transport polls; at its default of a second every hop of a workflow would wait a second.
    broker_transport_options={"polling_interval": 0.02} if settings.BROKER_URL.startswith("memory:") else {},
    broker_connection_retry_on_startup=True,
    include=["workers.tasks"],
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="default",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    enable_utc=True,
)

"""Kombu's SQS transport for queues that exist already: it asks for one by its name, and never lists or makes any."""

from typing import Any

from django.conf import settings
from kombu.transport import SQS

from fatfire.kit import aws, sqs


class Channel(SQS.Channel):
    """A channel whose queues are named by fatfire.kit.sqs, through the process's one client."""

    def canonical_queue_name(self, queue_name: str) -> str:
        """Return the name on SQS of one of our queues."""
        return sqs.queue_name(queue_name, environment=settings.ENVIRONMENT)

    def sqs(self, queue: str | None = None) -> Any:
        """Return the process's client; after a fork it is another one."""
        return aws.client("sqs")

    def new_sqs_client(self, *_: object, **__: object) -> Any:
        """Return the same."""
        return self.sqs()

    def _update_queue_cache(self, queue_name_prefix: str) -> None:
        """List nothing: `_resolve_queue_url` asks for what it needs."""

    def _resolve_queue_url(self, queue: str) -> str:
        return sqs.queue_url(self.canonical_queue_name(queue))


class Transport(SQS.Transport):
    """The transport of `sqs://`."""

    Channel = Channel

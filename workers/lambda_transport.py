"""`lambda://function:alias`: a Kombu transport that only sends, each message as one asynchronous invocation.

For wide fan-out: nothing polls, and a thousand messages are a thousand invocations at once. Lambda tries an invocation
that fails twice more. There is no queue, hence nothing to count, to purge or to read, and no delay.
"""

import json
from typing import Any, NoReturn
from urllib.parse import urlsplit

from kombu.transport import virtual

from fatfire.kit import aws

MOST_BYTES = 256 * 1024
"""Of an asynchronous invocation's payload, everywhere. Source: AWS Lambda quotas (1 MB since October 2025)."""


class CannotSend(ValueError):
    """An asynchronous invocation can't carry this message; the text says why."""


class Channel(virtual.Channel):
    """Sends to the function that the URL names."""

    supports_fanout = False

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:
        headers, properties = message.get("headers") or {}, message.get("properties") or {}
        if headers.get("eta") or properties.get("DelaySeconds"):
            msg = f"lambda:// can't delay a message ({headers.get('task')}); the row's run_after does, and the sweep"
            raise CannotSend(msg)
        payload = json.dumps({"celery": {"queue": queue, "message": message}}).encode()
        if len(payload) > MOST_BYTES:
            msg = f"the message of {headers.get('task')} has {len(payload)} bytes; lambda:// carries {MOST_BYTES}"
            raise CannotSend(msg)
        function = function_of(self.connection.client.hostname)
        aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=payload)

    def _new_queue(self, queue: str, **_: object) -> None:
        """Make nothing: there is no queue."""

    def _has_queue(self, queue: str, **_: object) -> bool:
        return True

    def _get(self, queue: str, timeout: float | None = None) -> NoReturn:
        self._refuse("read")

    def _size(self, queue: str) -> int:
        self._refuse("counted")

    def _purge(self, queue: str) -> int:
        self._refuse("purged")

    def _refuse(self, what: str) -> NoReturn:
        msg = f"lambda:// only sends: a message is an invocation at once, and no worker can have it {what}"
        raise NotImplementedError(msg)


def function_of(url: str) -> str:
    """Return the function that `lambda://name:alias` names, with its alias.

    Raises:
        ValueError: it names none.
    """
    function = urlsplit(url).netloc
    if not function:
        msg = f"{url!r} names no function: lambda://name:alias"
        raise ValueError(msg)
    return function


class Transport(virtual.Transport):
    """The transport of `lambda://`."""

    Channel = Channel
    can_parse_url = True  # an alias is no port
    driver_type = driver_name = "lambda"

"""The emulator's SQS, for what takes messages from it."""

from collections.abc import Iterator

import pytest

from services.jobs.jobs import Queue
from tests.emulator import running_emulator
from tests.workers.queues import Queues, aws_at


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Return the endpoint of an emulator of AWS; tests that ask for it are of the xdist group "lambda"."""
    with running_emulator() as endpoint:
        yield endpoint


@pytest.fixture
def queues(emulator, settings) -> Iterator[Queues]:
    """Return empty queues on SQS, which carry all messages of the test."""
    with aws_at(emulator):
        made = Queues()
        settings.ENVIRONMENT = made.environment
        made.make()
        settings.QUEUE_BROKERS = {queue.value: "sqs://" for queue in Queue}
        yield made

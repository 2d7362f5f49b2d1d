"""The world that the jobs under guard live in, what carries their messages, and the process that can be killed."""

import contextlib
from collections.abc import Iterator

import pytest

from fatfire.kit import http
from fatfire.kit.serving import Server
from tests.contracts.bank import Bank
from tests.services.messaging.smtp import running_mail_server
from tests.slices.linked import connected_bank
from tests.workers.forker import Forker, running_forker
from tests.workers.invocations import recording_lambda
from tests.workers.transports import Lambda, Memory, Sqs, Transport
from workers import tasks  # noqa: F401  # registers the operations

RATES_DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<Cube><Cube time="2099-01-05"><Cube currency="USD" rate="1.1"/><Cube currency="AUD" rate="1.7"/></Cube></Cube>
</gesmes:Envelope>"""


def central_bank(environ, start_response):
    """Answer every request with the day's rates."""
    start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(RATES_DOCUMENT)))])
    return [RATES_DOCUMENT]


@pytest.fixture
def bank(tmp_path, settings, database) -> Iterator[Bank]:
    """A bank, a Central Bank and a mail server, that the settings name."""
    with (
        Server(central_bank, 0) as rates_server,
        running_mail_server() as mail_server,
        connected_bank(tmp_path, settings) as running,
    ):
        settings.RATES_URL = rates_server.url
        settings.MEDIA_FOLDER, settings.MEDIA_WORKER_START_SECONDS = tmp_path / "media", 0.0
        settings.MAILERS = {"default": mail_server.mailer}
        yield running
        http.close_connections()


@pytest.fixture
def transport(request, settings) -> Iterator[Transport]:
    """What carries all messages of the test."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqs":
            carrier = Sqs(request.getfixturevalue("queues"))
        elif request.param == "lambda":
            carrier = Lambda(stack.enter_context(recording_lambda()))
        else:
            carrier = Memory()
        settings.QUEUE_BROKERS = carrier.brokers
        yield carrier


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    """The process that can be killed."""
    with running_forker("tests.workers.planted") as running:
        yield running

"""The laptop's stand-in for API Gateway's WebSocket API asks, refuses and says as that does."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fatfire.kit.sockets import SocketServer


class Function:
    """What the stand-in asks: refuses who has no ticket, and remembers."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        request = event["requestContext"]
        self.events.append((request["eventType"], event.get("body")))
        self.connection = request["connectionId"]
        refused = request["eventType"] == "CONNECT" and event["queryStringParameters"] != {"ticket": "good one"}
        return {"statusCode": 403 if refused else 200}


@pytest.fixture
def function():
    return Function()


@pytest.fixture
def sockets(function):
    with SocketServer(function) as running:
        yield running


def say(sockets, connection, words=b"hello"):
    return httpx.post(f"{sockets.endpoint}/@connections/{connection}", content=words)


def test_connection_is_told_and_heard_and_ends(sockets, function):
    with connect(f"{sockets.url}?ticket=good%20one") as client:
        assert say(sockets, function.connection).status_code == 200
        assert client.recv(timeout=20) == "hello"
        client.send("ping")
        client.ping().wait(20)
    sockets.close()

    assert function.events == [("CONNECT", None), ("MESSAGE", "ping"), ("DISCONNECT", None)]


def test_function_may_refuse(sockets, function):
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"{sockets.url}?ticket=bad")

    assert refusal.value.response.status_code == 403
    assert function.events == [("CONNECT", None)]


def test_who_has_gone_is_told_as_gone(sockets, function):
    answer = say(sockets, "nobody")

    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (410, "GoneException")

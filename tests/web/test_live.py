"""How a page gets to listen."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from fatfire.kit import clock
from services.messaging.models import Listener
from services.messaging.operations import connect
from tenants.isolation import tenant

URL = "wss://live.example/live"


def test_page_gets_an_address_that_works_once(client, home, settings):
    settings.WEBSOCKET_URL = URL

    answer = client.post("/live")

    address = urlsplit(answer.json()["url"])
    assert address._replace(query="").geturl() == URL
    (ticket,) = parse_qs(address.query)["ticket"]
    connect(ticket=ticket, connection_id="c1", at=clock.now())
    with tenant(home.id):
        assert Listener.objects.get().user_id


@pytest.mark.parametrize(("url", "says"), [(URL, True), ("", False)])
def test_page_says_whether_there_is_something_to_listen_to(client, settings, url, says):
    settings.WEBSOCKET_URL = url

    assert ('data-live="/live"' in client.get("/").content.decode()) is says


def test_without_a_socket_there_is_nothing(client):
    assert client.post("/live").status_code == 404


def test_nobody_else_gets_one(database, settings):
    settings.WEBSOCKET_URL = URL

    answer = Client().post("/live")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in")

"""Who may listen, for how long, and what they are told."""

import datetime as dt
import json
from urllib.parse import unquote

import pytest
from django.contrib.sessions.models import Session

from fatfire.kit import aws
from fatfire.kit.http import NetworkInTransaction
from fatfire.kit.serving import Server
from services.messaging import operations
from services.messaging.models import Listener
from services.messaging.operations import TicketRefused, connect, disconnect, issue_ticket, nudge
from services.messaging.queries import MOST_LISTENERS, listening
from tenants.isolation import operator, tenant
from tenants.models import Membership, User
from tests.factories import AT, make_tenant, owner_id

SECOND = dt.timedelta(seconds=1)


class Gateway:
    """API Gateway's management API, over HTTP: some connections are gone, and it may be broken."""

    def __init__(self):
        self.said, self.gone, self.broken = [], set(), False

    def __call__(self, environ, start_response):
        connection = unquote(environ["PATH_INFO"]).rpartition("/")[2]
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        status = "500 Broken" if self.broken else "410 Gone" if connection in self.gone else "200 OK"
        if status == "200 OK":
            self.said.append((connection, json.loads(body)))
        start_response(status, [("Content-Length", "0"), ("X-Amzn-ErrorType", "GoneException")])
        return []


@pytest.fixture
def gateway(settings, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "nobody")
    gateway = Gateway()
    with Server(gateway, 0) as server:
        settings.WEBSOCKET_ENDPOINT = server.url
        yield gateway
    aws.forget()


@pytest.fixture
def home(database):
    return make_tenant()


def sign_in(name="s"):
    with operator():
        Session.objects.get_or_create(session_key=name, session_data="", expire_date=AT + dt.timedelta(days=1))
    return name


def ticket_for(home, session="s", at=AT):
    with tenant(home.id):
        return issue_ticket(user_id=owner_id(home), session_id=session, at=at)


def listen(home, connection, at=AT, session="s"):
    sign_in(session)
    connect(ticket=ticket_for(home, session, at), connection_id=connection, at=at)


def listeners(home, at=AT):
    with tenant(home.id):
        return listening(at=at)


def test_ticket_buys_one_connection(home):
    sign_in()
    ticket = ticket_for(home)
    connect(ticket=ticket, connection_id="c1", at=AT)

    with pytest.raises(TicketRefused):
        connect(ticket=ticket, connection_id="c2", at=AT)
    assert listeners(home) == ["c1"]


def test_ticket_is_kept_as_a_digest_only(home):
    ticket = ticket_for(home)

    with tenant(home.id):
        kept = Listener.objects.get()
    assert len(bytes(kept.digest)) == 32
    assert ticket.partition(".")[2].encode() not in bytes(kept.digest)


@pytest.mark.parametrize("age", [operations.listeners.TICKET_FOR, operations.listeners.TICKET_FOR + SECOND])
def test_old_ticket_is_refused(home, age):
    ticket = ticket_for(home)

    with pytest.raises(TicketRefused):
        connect(ticket=ticket, connection_id="c1", at=AT + age)
    assert listeners(home) == []


@pytest.mark.parametrize("forge", ["", "x", ".", "0" * 32 + ".x", "{other}.{secret}", "{own}.", "{own}.x"])
def test_forged_ticket_is_refused(home, forge):
    other = make_tenant()
    own, _, secret = ticket_for(home).partition(".")

    with pytest.raises(TicketRefused):
        connect(ticket=forge.format(own=own, other=other.id.hex, secret=secret), connection_id="c1", at=AT)
    assert listeners(home) == listeners(other) == []


def test_only_the_tenant_is_told(home, gateway):
    other = make_tenant()
    listen(home, "c1")
    listen(other, "c2", session="t")

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 1
    assert gateway.said == [("c1", {"job": "42"})]


def end_session(home):
    with operator():
        Session.objects.all().delete()


def sign_out_everywhere(home):
    with operator():
        User.objects.update(session_epoch=1)


def lose_membership(home):
    with operator():
        Membership.objects.filter(tenant=home).delete()


@pytest.mark.parametrize("end", [end_session, sign_out_everywhere, lose_membership])
def test_who_is_signed_out_or_no_member_is_told_nothing(home, gateway, end):
    listen(home, "c1")
    end(home)

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 0
    assert gateway.said == []


def test_connection_that_ended_is_forgotten(home):
    listen(home, "c1")
    listen(home, "c2")

    disconnect(connection_id="c1")
    disconnect(connection_id="c1")
    disconnect(connection_id="never was")

    assert listeners(home) == ["c2"]


def test_connection_that_is_gone_is_forgotten_and_others_are_told(home, gateway):
    for each in ("c1", "c2", "c3"):
        listen(home, each)
    gateway.gone = {"c2"}

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT + dt.timedelta(seconds=30)) == 2
    assert sorted(listeners(home)) == ["c1", "c3"]


def test_connection_that_only_begins_is_called_gone_and_not_forgotten(home, gateway):
    listen(home, "c1")
    gateway.gone = {"c1"}

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT + dt.timedelta(seconds=28)) == 0
    assert listeners(home) == ["c1"]


def test_broken_gateway_is_no_error(home, gateway):
    listen(home, "c1")
    listen(home, "c2")
    gateway.broken = True

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 0
    assert len(listeners(home)) == 2


def test_broken_gateway_is_left_alone_for_a_while(home, gateway, monkeypatch):
    listen(home, "c1")
    gateway.broken = True
    nudge(tenant_id=home.id, message={"job": "42"}, at=AT)
    gateway.broken = False

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 0
    monkeypatch.setattr(operations.listeners, "QUIET_S", 0)
    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 1


def test_process_without_a_region_tells_nobody_and_goes_on(home, gateway, monkeypatch, tmp_path):
    listen(home, "c1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 0


def test_machine_that_has_just_started_tells(home, gateway, monkeypatch):
    listen(home, "c1")
    monkeypatch.setattr(operations.listeners.time, "monotonic", lambda: 1.0)

    assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 1


def test_nothing_is_told_in_a_transaction(home, gateway):
    listen(home, "c1")

    with tenant(home.id), pytest.raises(NetworkInTransaction):
        nudge(tenant_id=home.id, message={"job": "42"}, at=AT)


def test_without_an_endpoint_nothing_is_asked_of_the_database(home, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert nudge(tenant_id=home.id, message={"job": "42"}, at=AT) == 0


def test_newest_of_many_are_told(home):
    for number in range(MOST_LISTENERS + 1):
        listen(home, f"c{number}", at=AT + SECOND * number)

    assert listeners(home) == [f"c{number}" for number in range(MOST_LISTENERS, 0, -1)]


def test_what_has_expired_is_deleted(home):
    listen(home, "c1")
    ticket_for(home)
    ticket_for(home, at=AT + dt.timedelta(days=1))

    with operator():
        assert operations.delete_listeners(before=AT + dt.timedelta(hours=3), limit=10) == 2
        assert Listener.objects.count() == 1

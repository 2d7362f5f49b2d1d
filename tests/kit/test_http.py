"""Outgoing HTTP over real sockets on the loopback interface."""

import gzip
import logging
import socket
import threading
from decimal import Decimal

import pytest

from fatfire.kit import http
from fatfire.kit.errors import TransientError
from services.integration.sandbox.server import Server

HIDDEN = "s3cr3t-token"
JSON = [("Content-Type", "application/json")]


@pytest.fixture
def serving():
    """Return a function that serves a WSGI application and gives its address."""
    servers = []

    def serve(application):
        servers.append(Server(application, 0))
        return servers[-1].url

    yield serve
    http.close_connections()
    for server in servers:
        server.close()


def saying(status, content, headers=JSON):
    """Return an application with one answer to everything."""

    def application(environ, start_response):
        environ["wsgi.input"].read()
        start_response(status, headers)
        return [content]

    return application


def test_post_sends_json_and_reads_exact_numbers(serving):
    seen = []

    def application(environ, start_response):
        seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["CONTENT_TYPE"], environ["HTTP_X_KEY"]))
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", JSON)
        return [b'{"amount": 90892.32, "small": 0.1, "count": 3, "none": null}']

    answer = http.Client(serving(application), headers={"X-Key": HIDDEN}).post("/sync", {"a": ["b"]})

    assert seen == [("POST", "/sync", "application/json", HIDDEN), b'{"a": ["b"]}']
    assert answer == http.Answer(
        200, {"amount": Decimal("90892.32"), "small": Decimal("0.1"), "count": 3, "none": None}
    )
    assert [type(value) for value in answer.body.values()] == [Decimal, Decimal, int, type(None)]


def test_get_sends_its_query(serving):
    seen = []

    def application(environ, start_response):
        seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
        start_response("200 OK", JSON)
        return [b"[]"]

    answer = http.Client(serving(application) + "/v1/").get("/rates", query={"day": "2026-03-18", "q": "a&b"})

    assert seen == [("GET", "/v1/rates", "day=2026-03-18&q=a%26b")]
    assert answer == http.Answer(200, [])


def test_connections_are_used_again(serving):
    ports = []

    def application(environ, start_response):
        ports.append(environ["REMOTE_PORT"])
        start_response("200 OK", [*JSON, ("Content-Length", "2")])
        return [b"{}"]

    url = serving(application)
    for _ in range(3):
        http.Client(url).get("/")

    assert len(set(ports)) == 1


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "400 Bad Request", "404 Not Found", "302 Found"])
def test_an_answer_below_500_is_the_callers_to_judge(serving, status):
    assert http.Client(serving(saying(status, b'{"code": "x"}'))).post("/", {}) == http.Answer(
        int(status[:3]), {"code": "x"}
    )


def test_a_redirect_is_not_followed(serving):
    reached = []

    def elsewhere(environ, start_response):
        reached.append(environ["PATH_INFO"])
        start_response("200 OK", JSON)
        return [b"{}"]

    location = serving(elsewhere) + "/stolen"
    answer = http.Client(serving(saying("307 Temporary Redirect", b"{}", [*JSON, ("Location", location)]))).post(
        "/", {}
    )

    assert answer.status == 307
    assert reached == []


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"])
def test_an_overloaded_or_failing_service_is_unreachable(serving, status):
    with pytest.raises(http.Unreachable, match=rf"^127\.0\.0\.1/pay answered {status[:3]}\.$"):
        http.Client(serving(saying(status, b"<html>"))).post("/pay", {})


def test_a_refused_connection_is_unreachable(serving):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound but not listening, so nobody else takes the port meanwhile
        client = http.Client(f"http://127.0.0.1:{unheard.getsockname()[1]}")

        with pytest.raises(http.Unreachable, match=r"^127\.0\.0\.1/pay could not be reached \(ConnectError\)\.$"):
            client.post("/pay", {})


def test_silence_is_unreachable_after_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = http.Client(f"http://127.0.0.1:{silent.getsockname()[1]}", read_seconds=0.05)

        with pytest.raises(http.Unreachable, match=r"\(ReadTimeout\)"):
            client.post("/pay", {})


def test_a_connection_that_breaks_off_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def break_off():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        thread = threading.Thread(target=break_off)
        thread.start()
        with pytest.raises(http.Unreachable, match=r"\(RemoteProtocolError\)"):
            http.Client(f"http://127.0.0.1:{listening.getsockname()[1]}").get("/")
        thread.join()


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"a": NaN}', b"\xff", b"[" * 200_000])
def test_what_is_no_json_is_unreadable(serving, content):
    with pytest.raises(http.Unreadable, match=r"^127\.0\.0\.1/ answered with something that isn't JSON\.$"):
        http.Client(serving(saying("200 OK", content))).get("/")


def test_what_claims_to_be_packed_and_is_not_is_unreadable(serving):
    headers = [*JSON, ("Content-Encoding", "gzip")]

    with pytest.raises(http.Unreadable, match="could not be unpacked"):
        http.Client(serving(saying("200 OK", b"plain", headers))).get("/")


def test_an_answer_over_the_limit_is_unreadable_even_when_packed(serving):
    packed = gzip.compress(b" " * (http.MAX_ANSWER_BYTES + 1))
    headers = [*JSON, ("Content-Encoding", "gzip")]

    assert len(packed) < 100_000
    with pytest.raises(http.Unreadable, match=f"more than {http.MAX_ANSWER_BYTES} bytes"):
        http.Client(serving(saying("200 OK", packed, headers))).get("/")


@pytest.mark.parametrize("error", [http.Unreachable, http.Unreadable])
def test_a_job_may_try_again(error):
    assert issubclass(error, TransientError)


@pytest.mark.parametrize("path", ["pay", "@other.test/pay", ""])
def test_a_path_cannot_name_another_host(path):
    with pytest.raises(ValueError, match="begins with a slash"):
        http.Client("http://127.0.0.1:1").get(path)


def test_neither_messages_nor_logs_show_a_secret(serving, caplog):
    caplog.set_level(logging.DEBUG)
    client = http.Client(serving(saying("500 Internal Server Error", HIDDEN.encode())), headers={"X-Key": HIDDEN})

    with pytest.raises(http.Unreachable) as raised:
        client.get("/", query={"token": HIDDEN})

    assert HIDDEN not in str(raised.value)
    assert HIDDEN not in caplog.text
    assert HIDDEN not in repr(client)
    assert raised.value.__cause__ is None


def test_no_request_leaves_while_a_transaction_is_open(serving, database):
    from tenants.isolation import shared

    reached = []

    def application(environ, start_response):
        reached.append(environ["PATH_INFO"])
        start_response("200 OK", JSON)
        return [b"{}"]

    client = http.Client(serving(application))

    with shared(), pytest.raises(http.NetworkInTransaction):
        client.post("/inside", {})
    client.post("/outside", {})

    assert reached == ["/outside"]

"""Secrets come from SSM into the environment, all of them or none."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fatfire import secrets
from fatfire.secrets import SecretsNotLoaded
from tests.emulator import ROOT, client, running_emulator

PREFIX = "/fatfire/here/web/"
WRITTEN = {f"{PREFIX}SECRET_{number}": f"word {number} é" for number in range(23)}  # three pages
ELSEWHERE = {"/fatfire/here/webs/OTHER": "x", "/fatfire/here/jobs/OTHER": "x", f"{PREFIX}deeper/OTHER": "x"}


@pytest.fixture
def environment(monkeypatch):
    """Let a test's process have secrets of its own."""
    before = dict(os.environ)
    for name, value in ROOT.items():
        monkeypatch.setenv(name, value)
    secrets.load.cache_clear()
    yield monkeypatch
    secrets.load.cache_clear()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def endpoint():
    with running_emulator() as url:
        ssm = client("ssm", url)
        for name, value in {**WRITTEN, **ELSEWHERE, "/fatfire/bad/no-name": "hush"}.items():
            ssm.put_parameter(Name=name, Value=value, Type="SecureString")
        yield url


def test_every_parameter_under_the_prefix_becomes_a_variable(endpoint, environment):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("SECRETS_PREFIX", PREFIX)
    environment.setenv("SECRET_7", "stale")

    secrets.load()

    assert {name: os.environ[name.removeprefix(PREFIX)] for name in WRITTEN} == WRITTEN
    assert "OTHER" not in os.environ


def test_ssm_is_asked_once(endpoint, environment):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("SECRETS_PREFIX", PREFIX)
    secrets.load()

    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    secrets.load()


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("/fatfire/nobody/", "there is no parameter under /fatfire/nobody/"),
        ("/fatfire/bad/", "these under /fatfire/bad/ are no names of variables: no-name"),
        ("fatfire/here/web/", "SECRETS_PREFIX must begin and end with a slash, not 'fatfire/here/web/'"),
        ("/fatfire/here/web", "SECRETS_PREFIX must begin and end with a slash, not '/fatfire/here/web'"),
    ],
)
def test_what_cannot_be_right_is_refused(prefix, said, endpoint, environment):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("SECRETS_PREFIX", prefix)
    before = dict(os.environ)

    with pytest.raises(SecretsNotLoaded) as refusal:
        secrets.load()

    assert str(refusal.value) == said
    assert dict(os.environ) == before


def test_without_a_prefix_nothing_is_asked(environment):
    environment.delenv("SECRETS_PREFIX", raising=False)
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    before = dict(os.environ)

    secrets.load()

    assert dict(os.environ) == before


class _Busy(BaseHTTPRequestHandler):
    """An SSM that gives the answers that it was told to, one after the other."""

    def do_POST(self):  # the standard library's name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        status, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def busy(environment):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    server.asked = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    environment.setenv("SECRETS_PREFIX", PREFIX)
    environment.setattr(secrets, "_WAITS_S", (0.01, 0.01))
    yield server
    server.shutdown()
    server.server_close()


FOUND = (200, {"Parameters": [{"Name": f"{PREFIX}SECRET_KEY", "Value": "hush"}]})
THROTTLED = (400, {"__type": "ThrottlingException", "message": "hush"})
BROKEN = (500, {"__type": "com.amazonaws#InternalServerError"})
DENIED = (400, {"__type": "AccessDeniedException", "message": "hush"})


def test_a_busy_ssm_is_asked_again(busy):
    busy.answers = [THROTTLED, BROKEN, FOUND]

    secrets.load()

    assert (os.environ["SECRET_KEY"], busy.asked) == ("hush", 3)


@pytest.mark.parametrize(
    ("answer", "asked", "said"),
    [
        (DENIED, 1, f"SSM doesn't give what is under {PREFIX}: 400 AccessDeniedException"),
        (THROTTLED, 3, f"SSM doesn't give what is under {PREFIX}: 400 ThrottlingException"),
        (BROKEN, 3, f"SSM doesn't give what is under {PREFIX}: 500 InternalServerError"),
    ],
)
def test_a_refusal_names_itself_and_no_value(answer, asked, said, busy):
    busy.answers = [answer]

    with pytest.raises(SecretsNotLoaded) as refusal:
        secrets.load()

    assert (str(refusal.value), busy.asked) == (said, asked)


def test_nothing_is_set_when_a_later_page_fails(busy):
    busy.answers = [(200, {**FOUND[1], "NextToken": "2"}), DENIED]
    before = dict(os.environ)

    with pytest.raises(SecretsNotLoaded):
        secrets.load()

    assert dict(os.environ) == before


def test_an_ssm_that_is_not_there_is_an_error(environment):
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    environment.setenv("SECRETS_PREFIX", PREFIX)
    environment.setattr(secrets, "_WAITS_S", ())

    with pytest.raises(SecretsNotLoaded, match=f"under {PREFIX}: 503 EndpointConnectionError"):
        secrets.load()

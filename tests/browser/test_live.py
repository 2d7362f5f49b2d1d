"""A page that shows a job hears at once that it changed, and asks by itself where it can't hear."""

import re

import pytest

from fatfire.kit import aws
from fatfire.kit.sockets import SocketServer
from tests.browser.test_job_graph import ask, run_step
from workers.websocket import receive

ASKED_BY_ITSELF_MS = 15_000


def wait_until(page, what):
    """Wait until that is so on the page, whose policy lets nothing be evaluated there again and again."""
    for _ in range(600):
        if page.evaluate(what):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {what}")


@pytest.fixture
def sockets(database, settings, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "nobody")
    with SocketServer(receive) as running:
        settings.WEBSOCKET_URL, settings.WEBSOCKET_ENDPOINT = running.url, running.endpoint
        allowed = [*settings.SECURE_CSP["connect-src"], running.url]
        settings.SECURE_CSP = {**settings.SECURE_CSP, "connect-src": allowed}
        yield running
    aws.forget()


def test_job_is_followed_by_what_the_server_says(sockets, site, home, page, sign_in):
    sign_in(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.headers.get("hx-request") else None)
    with page.expect_websocket() as opened:
        ask(page, site)
    assert opened.value.url.startswith(sockets.url)
    wait_until(page, "LIVE.open")
    page.wait_for_timeout(2500)  # more than one poll's time
    before = len(asked)

    run_step(home)
    page.get_by_role("img", name=re.compile("Remove links: Succeeded")).wait_for(timeout=ASKED_BY_ITSELF_MS * 2 // 3)
    run_step(home)
    page.get_by_role("img", name=re.compile("Delete assets: Succeeded")).wait_for(timeout=ASKED_BY_ITSELF_MS * 2 // 3)

    assert 2 <= len(asked) - before <= 5  # at each step's start and end, and hardly ever by itself


def test_page_asks_by_itself_once_the_server_is_gone(sockets, site, home, context, sign_in):
    page = context.new_page()  # one that isn't watched: it says in its console that it can't connect
    sign_in(page)
    ask(page, site)
    wait_until(page, "LIVE.open")
    sockets.close()
    wait_until(page, "!LIVE.open")

    run_step(home)

    page.get_by_role("img", name=re.compile("Remove links: Succeeded")).wait_for(timeout=ASKED_BY_ITSELF_MS * 2 // 3)

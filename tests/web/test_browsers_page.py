"""The page of the browsers that a person is signed in with."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from fatfire.kit import clock
from fatfire.web.browsers import browser_of
from services.accounts.models import SignedInBrowser
from tenants.isolation import operator, shared, tenant
from tenants.models import AuditEvent, Tenant, User
from tenants.permissions import Role
from tests.factories import make_tenant, owner_id
from tests.web.conftest import sign_in
from tests.web.test_portfolios_page import become

EMAIL = "owner@home.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 Version/26.1 Safari/604.1"
PROFILE = {"name": "Alex", "locale": "de-DE"}
HOUSEHOLD = {"name": "The Smiths", "home_currency": "eur", "time_zone": "Europe/Berlin"}


def user():
    with operator():
        return User.objects.get(email=EMAIL)


def household(home):
    with tenant(home.id):
        return Tenant.objects.values_list("name", "home_currency", "time_zone").get()


def everyone():
    with operator():
        return sorted(User.objects.values_list("email", "name", "locale", "is_operator", "session_epoch"))


AGENTS = [
    (FIREFOX, "Firefox on Linux"),
    (PHONE, "Safari on an iPhone"),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
        "Chrome on Windows",
    ),
    ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
    ("Mozilla/5.0 (Linux; Android 10; K) Chrome/142.0.0.0 Mobile Safari/537.36 OPR/90", "Opera on Android"),
    ("Mozilla/5.0 (Linux; Android 16) SamsungBrowser/29.0 Chrome/136 Safari/537", "Samsung Internet on Android"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/26 Safari/605", "Safari on a Mac"),
    ("Mozilla/5.0 (iPad; CPU OS 26 like Mac OS X) FxiOS/145 Mobile Safari/605", "Firefox on an iPad"),
    ("curl/8.5.0", "Another browser"),
    ("", "Another browser"),
    ("<script>alert(1)</script>" * 40 + "Windows", "Another browser on Windows"),
]


@pytest.mark.parametrize(("agent", "words"), AGENTS)
def test_browser_in_words(agent, words):
    assert browser_of(agent) == words


def browsers():
    with shared():
        return dict(SignedInBrowser.objects.values_list("browser", "id"))


def sessions():
    with shared():
        return Session.objects.count()


def test_browsers_are_listed_and_this_one_is_marked(home):
    this = sign_in(EMAIL, Client(headers={"User-Agent": FIREFOX}))
    sign_in(EMAIL, Client(headers={"User-Agent": PHONE}))
    make_tenant(slug="other")
    sign_in("owner@other.example", Client(headers={"User-Agent": "Windows"}))

    page = this.get("/settings/security").content.decode()

    assert re.findall(r"(\w+ on [\w ]+?)(?: <span class=\"tag good\">(this one)</span>)?<small>", page) == [
        ("Safari on an iPhone", ""),
        ("Firefox on Linux", "this one"),
    ]
    assert page.count('/sign-out"') == 1 + 2  # one browser; everywhere; the menu's
    assert "before the list was kept" not in page


def test_signing_out_another_browser_ends_it_alone(home):
    this = sign_in(EMAIL, Client(headers={"User-Agent": FIREFOX}))
    phone, third = (sign_in(EMAIL, Client(headers={"User-Agent": each})) for each in (PHONE, "Windows"))

    response = this.post(f"/settings/security/{browsers()['Safari on an iPhone']}/sign-out")

    assert (response.status_code, response.headers["Location"]) == (303, "/settings/security")
    assert "That browser is signed out" in this.get("/settings/security").content.decode()
    assert [each.get("/").status_code for each in (this, phone, third)] == [200, 302, 200]
    assert sorted(browsers()) == ["Another browser on Windows", "Firefox on Linux"]
    with tenant(home.id):
        event = AuditEvent.objects.get(action="sign_out")
    assert (event.subject, event.actor_id, event.details) == (
        "browser",
        owner_id(home),
        {"name": "Safari on an iPhone"},
    )


def test_viewer_signs_out_browsers_too(home, client):
    sign_in(EMAIL, Client(headers={"User-Agent": PHONE}))
    become(home, Role.VIEWER)

    assert client.post(f"/settings/security/{browsers()['Safari on an iPhone']}/sign-out").status_code == 303


def test_browser_of_another_person_or_this_one_stays(home, client):
    make_tenant(slug="other")
    other = sign_in("owner@other.example", Client(headers={"User-Agent": PHONE}))
    theirs, mine = browsers()["Safari on an iPhone"], browsers()["Another browser"]

    paths = [f"/settings/security/{each}/sign-out" for each in (theirs, owner_id(home), mine)]
    assert [client.post(path).status_code for path in paths] == [404, 404, 409]

    assert [each.get("/").status_code for each in (client, other)] == [200, 200]
    assert sessions() == 2


def test_rows_go_with_their_sessions(home, client):
    sign_in(EMAIL, Client(headers={"User-Agent": PHONE}))
    assert (sessions(), len(browsers())) == (2, 2)

    sign_in(EMAIL, client)  # again, in the same browser: a new session
    assert (sessions(), len(browsers())) == (2, 2)
    client.post("/sign-out")
    assert (sessions(), len(browsers())) == (1, 1)
    again = sign_in(EMAIL)
    assert (sessions(), len(browsers())) == (2, 2)
    again.post("/sign-out", {"everywhere": "yes"})
    assert (sessions(), len(browsers())) == (0, 0)


def test_session_that_is_over_is_not_listed(home, client):
    sign_in(EMAIL, Client(headers={"User-Agent": PHONE}))
    with operator():
        over = Session.objects.filter(
            session_key__in=SignedInBrowser.objects.filter(browser="Safari on an iPhone").values("session_id")
        )
        over.update(expire_date=clock.now())

    assert "iPhone" not in client.get("/settings/security").content.decode()


def test_session_from_before_the_list_is_said_to_be_missing(home, client):
    with operator():
        SignedInBrowser.objects.all().delete()

    page = client.get("/settings/security").content.decode()

    assert "before the list was kept" in page
    assert "Sign out everywhere" in page

"""Who gets into the console: operators who signed in lately, and nobody else, by no URL of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLPattern

from fatfire.console import site as console
from fatfire.console import urls
from fatfire.kit import clock
from services.accounts import sign_in as accounts
from services.accounts.admin import TenantAdmin
from tenants.isolation import TenantNotSet, operator, shared
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role
from tests.console.conftest import OPERATOR
from tests.factories import AT
from tests.sign_in import send_links
from tests.web.conftest import sign_in

ROOT = Path(__file__).resolve().parents[2]
SITE, CONSOLE = "https://app.example.com", "https://console.example.com"
BOTH, MEMBER = "both@home.example", "owner@home.example"
"""An operator who is in a household, and who is in one alone."""


def paths() -> list[str]:
    """Return a path for each URL of the console, with something in the place of each argument."""
    found = ["/admin", "/admin/"]
    resolvers = [("/admin/", urls.urlpatterns[0].url_patterns)]
    while resolvers:
        prefix, patterns = resolvers.pop()
        for each in patterns:
            route = prefix + str(each.pattern).replace("<path:object_id>", "1").strip("^$")
            if isinstance(each, URLPattern):
                found.append(route.replace("(?P<url>.*)", "anything"))
            else:
                resolvers.append((route, each.url_patterns))
    return sorted({path for path in found if "(" not in path})


def test_paths_are_found():
    assert {"/admin/", "/admin/search/", "/admin/autocomplete/", "/admin/tenants/user/1/change/"} <= set(paths())
    assert len(paths()) > 5 * len(site._registry)


def test_anonymous_is_sent_to_sign_in(database):
    answers = {path: Client().get(path) for path in paths()}

    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 302} == {}
    assert all(answer["Location"].startswith("/sign-in?next=%2Fadmin") for answer in answers.values())


def test_member_finds_nothing(member):
    assert {path: found for path in paths() if (found := member.get(path).status_code) != 404} == {}
    assert {path: found for path in paths() if (found := member.post(path).status_code) != 404} == {}


def test_operator_without_household_lands_on_the_console(client):
    assert client.get("/").headers["Location"] == "/admin/"
    assert client.get("/admin").headers["Location"] == "/admin/"

    answer = client.get("/admin/")

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
        "media-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )


def test_pages_of_people_keep_their_policy(member):
    assert "unsafe" not in member.get("/")["Content-Security-Policy"]


def test_operator_with_household_sees_both(home, member):
    with operator():
        User.objects.filter(email="owner@home.example").update(is_operator=True)

    assert member.get("/").status_code == 200
    assert member.get("/admin/").status_code == 200


def test_operator_comes_back_after_signing_in(ada):
    secret = accounts.create_sign_in_token(user_id=ada.id, next_path="/admin/tenants/user/", at=clock.now())

    assert Client().post(f"/sign-in/{secret}").headers["Location"] == "/admin/tenants/user/"


@pytest.mark.parametrize(("late_s", "status"), [(-5, 200), (5, 302)])
def test_session_opens_the_console_for_twelve_hours(client, monkeypatch, late_s, status):
    later = clock.now() + console.SIGNED_IN_FOR + clock.dt.timedelta(seconds=late_s)
    monkeypatch.setattr(console, "now", lambda: later)

    assert client.get("/admin/").status_code == status


def test_stale_session_signs_in_again_instead_of_going_round(client, monkeypatch):
    later = clock.now() + console.SIGNED_IN_FOR * 2
    monkeypatch.setattr(console, "now", lambda: later)

    location = client.get("/admin/").headers["Location"]

    assert client.get(location).status_code == 200


def test_switching_the_household_keeps_the_session_as_old_as_it_is(home, monkeypatch):
    with operator():
        User.objects.filter(email="owner@home.example").update(is_operator=True)
    browser = sign_in("owner@home.example")
    later = clock.now() + console.SIGNED_IN_FOR * 2
    monkeypatch.setattr(console, "now", lambda: later)

    assert browser.post("/switch-tenant", {"tenant": str(home.id)}).status_code == 302

    assert browser.get("/admin/").status_code == 302
    assert browser.get("/").status_code == 302  # signed out


def test_session_from_before_its_age_was_kept_is_too_old(client):
    session = client.session
    del session["signed_in"]
    session.save()

    assert client.get("/admin/").status_code == 302


def test_signing_out_everywhere_ends_it(client, ada):
    accounts.sign_out_everywhere(user_id=ada.id)

    assert client.get("/admin/").status_code == 302


def test_losing_the_right_ends_it(client, ada):
    with operator():
        User.objects.filter(id=ada.id).update(is_operator=False)

    assert client.get("/admin/").status_code == 404
    assert client.get("/").status_code == 302


def test_way_out_ends_the_session(client):
    assert client.get("/admin/logout/").status_code == 405

    assert client.post("/admin/logout/").headers["Location"] == "/sign-in"

    assert client.get("/admin/").status_code == 302
    with shared():
        assert not Session.objects.exists()


def test_form_without_token_is_refused(ada):
    browser = sign_in(OPERATOR, Client(enforce_csrf_checks=False))
    browser.handler.enforce_csrf_checks = True

    assert browser.post("/admin/logout/").status_code == 403


def test_nothing_of_passwords_is_there():
    assert [path for path in paths() if "password" in path or "login" in path] == []
    assert settings.AUTHENTICATION_BACKENDS == []


def test_exception_changes_nothing(client, home, monkeypatch):
    def fail(*_):
        Tenant.objects.update(name="Gone")
        raise RuntimeError

    monkeypatch.setattr(TenantAdmin, "get_queryset", fail)
    client.raise_request_exception = False

    assert client.get("/admin/tenants/tenant/").status_code == 500

    with operator():
        assert Tenant.objects.get().name == "Home"


def test_nothing_is_read_outside_the_transaction(client):
    assert client.get("/admin/tenants/tenant/").status_code == 200

    with pytest.raises(TenantNotSet):
        Tenant.objects.count()


@pytest.mark.parametrize("with_operator", [True, False])
def test_process_without_the_role_has_no_console(database, with_operator):
    """A process of its own: settings and URLs are read once."""
    code = (
        "import django; django.setup()\n"
        "from django.test import Client; from django.contrib import admin\n"
        "print(*(Client().get(path).status_code for path in ('/admin', '/admin/', '/admin/tenants/user/', '/sign-in')),"
        " len(admin.site._registry) > 0)"
    )
    environment = {key: value for key, value in os.environ.items() if with_operator or key != "DATABASE_OPERATOR_URL"}

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": "fatfire.settings", "ALLOWED_HOSTS": '["testserver"]'},
        capture_output=True,
        text=True,
        check=False,
    )

    expected = "302 302 302 200 True" if with_operator else "404 404 404 200 False"
    assert done.stdout.split("\n")[0] == expected, done.stderr


def test_first_operator_is_made_by_a_command(database, capsys):
    call_command("create_operator", "Grace@fatfire.example", "--link")
    call_command("create_operator", "grace@FATFIRE.example")  # again: nothing new

    said = capsys.readouterr()
    assert "they sign in as everybody does, at http://testserver/admin/" in said.err
    link = said.out.strip()
    assert link.startswith("http://testserver/sign-in/")
    browser = Client()
    assert browser.post(link).headers["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
    with operator():
        assert list(User.objects.values_list("email", "is_operator")) == [("Grace@fatfire.example", True)]


def test_command_refuses_what_is_no_address(database):
    with pytest.raises(CommandError, match="'grace' is no e-mail address"):
        call_command("create_operator", "grace")

    with operator():
        assert not User.objects.exists()


@pytest.fixture
def two_hosts(settings):
    """Have the pages and the console on hosts of their own, as in production."""
    settings.SITE_URL, settings.CONSOLE_URL = SITE, CONSOLE
    settings.ALLOWED_HOSTS = ["app.example.com", "console.example.com"]


def link_for(email: str, host: str, **query: str) -> str:
    """Ask for a link as a browser at `host` does; return the one in the mail."""
    mail.outbox.clear()
    browser = Client(headers={"Host": host})
    page = browser.get("/sign-in", query)
    wanted = re.search(r'name="next" value="([^"]+)"', page.content.decode())[1]
    browser.post("/sign-in", {"email": email, "next": wanted})
    send_links()
    return re.search(r"^https?://\S+$", mail.outbox[0].body, re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("email", "asked_for", "leads_to"),
    [
        (OPERATOR, "/", "console"),  # is in no household: no other page is theirs
        (OPERATOR, "/net-worth", "console"),
        (BOTH, "/admin", "console"),
        (BOTH, "/admin/jobs/job/?state=failed", "console"),
        (BOTH, "/", "site"),
        (BOTH, "/administered", "site"),
        (MEMBER, "/", "site"),
        (MEMBER, "/admin/", "site"),
    ],
)
def test_link_in_a_mail_leads_to_the_host_where_it_is_of_use(two_hosts, home, ada, email, asked_for, leads_to):
    with operator():
        user = User.objects.create(email=BOTH, is_operator=True, created_at=AT)
        Membership.objects.create(tenant=home, user=user, role=Role.VIEWER, created_at=AT)

    link = link_for(email, "app.example.com", next=asked_for)

    assert link.startswith({"site": SITE, "console": CONSOLE}[leads_to] + "/sign-in/")


def test_operator_who_comes_to_the_consoles_host_gets_into_the_console(two_hosts, home):
    with operator():
        user = User.objects.create(email=BOTH, is_operator=True, created_at=AT)
        Membership.objects.create(tenant=home, user=user, role=Role.VIEWER, created_at=AT)

    link = link_for(BOTH, "console.example.com")
    browser = Client(headers={"Host": "console.example.com"})
    came = browser.post(link.removeprefix(CONSOLE))

    assert link.startswith(f"{CONSOLE}/sign-in/")
    assert came.headers["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200


def test_member_who_comes_to_the_consoles_host_gets_to_their_pages(two_hosts, home):
    link = link_for(MEMBER, "console.example.com")
    browser = Client(headers={"Host": "app.example.com"})
    came = browser.post(link.removeprefix(SITE))

    assert link.startswith(f"{SITE}/sign-in/")
    assert came.headers["Location"] == "/"
    assert browser.get("/").status_code == 200


def test_the_sites_host_knows_nothing_of_the_console(two_hosts, home, monkeypatch):
    monkeypatch.delitem(settings.DATABASES, "operator")  # whose process has no such role

    page = Client(headers={"Host": "app.example.com"}).get("/sign-in").content.decode()

    assert 'name="next" value="/"' in page
    assert "console" not in page


def test_operator_without_household_is_refused_where_there_is_no_console(ada, monkeypatch):
    secret = accounts.create_sign_in_token(user_id=ada.id, at=clock.now())
    monkeypatch.delitem(settings.DATABASES, "operator")

    assert Client().post(f"/sign-in/{secret}").status_code == 403


def test_membership_of_an_operator_is_no_different(home, ada):
    with operator():
        Membership.objects.create(tenant=home, user=ada, role=Role.VIEWER)

    assert sign_in(OPERATOR).get("/").status_code == 200

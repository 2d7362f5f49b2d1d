"""Who gets to see a page, and what the transaction around it does."""

import datetime as dt
import re

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver, include, path
from django.urls.resolvers import RegexPattern

from fatfire import urls as site_urls
from fatfire.kit.errors import DomainError
from fatfire.web.access import page
from services.core.models import Portfolio
from services.core.operations import create_portfolio
from services.telemetry.models import Invocation
from tenants.isolation import current_actor_id, opens_own_transaction, operator, shared, tenant
from tenants.models import AuditEvent, Membership, User
from tenants.permissions import Role, requires
from tests.factories import AT, make_portfolio, make_tenant, owner_id
from tests.sign_in import send_links
from tests.web.conftest import ask_for_link, sign_in


class Refused(DomainError):
    """No."""


def _write() -> None:
    create_portfolio(name="Written", currency="AUD", time_zone="Australia/Sydney", at=AT)


def _answer(status):
    @page
    def view(request):
        _write()
        return HttpResponse(str(current_actor_id()), status=status)

    return view


@page
def refuses(request):
    _write()
    raise Refused


@page
def misses(request):
    _write()
    Portfolio.objects.get(name="Nothing")


@page
@opens_own_transaction
def opens_own(request):
    return HttpResponse(f"{connection.in_atomic_block} {current_actor_id()}")


@page
@requires(Role.ADMIN)
def for_admins(request):
    return HttpResponse("in")


urlpatterns = [
    path("ok", _answer(200)),
    path("refused", _answer(400)),
    path("error", refuses),
    path("missing", misses),
    path("own", opens_own),
    path("admins", for_admins),
    *site_urls.urlpatterns,
]


handler404 = site_urls.handler404


@pytest.fixture
def views(settings):
    """Serve the pages of this module beside the site's."""
    settings.ROOT_URLCONF = __name__


OUTCOMES = [("/ok", 200, True), ("/refused", 400, False), ("/error", 409, False), ("/missing", 404, False)]


@pytest.mark.parametrize(("url", "status", "stays"), OUTCOMES)
def test_refusal_changes_nothing(views, home, client, url, status, stays):
    response = client.get(url)

    assert response.status_code == status
    with tenant(home.id):
        assert Portfolio.objects.filter(name="Written").exists() == stays
        assert Invocation.objects.get(name=f"GET {url}").status == status


def test_page_acts_in_the_persons_name(views, home, client):
    assert client.get("/ok").content.decode() == str(owner_id(home))
    assert client.get("/own").content.decode() == f"False {owner_id(home)}"
    with tenant(home.id):
        assert AuditEvent.objects.get(subject="portfolio").actor_id == owner_id(home)


ROLES = [
    # role, page, method, status
    (Role.VIEWER, "/ok", "get", 200),
    (Role.VIEWER, "/ok", "post", 403),
    (Role.MEMBER, "/ok", "post", 200),
    (Role.MEMBER, "/admins", "get", 403),
    (Role.ADMIN, "/admins", "get", 200),
    (Role.OWNER, "/admins", "get", 200),
]


@pytest.mark.parametrize(("role", "url", "method", "status"), ROLES)
def test_role_is_read_at_each_request(views, home, client, role, url, method, status):
    with operator():
        Membership.objects.filter(tenant=home).update(role=role)

    assert getattr(client, method)(url).status_code == status


def test_refusal_says_once_what_is_wrong_and_what_helps(views, home, client):
    with operator():
        Membership.objects.filter(tenant=home).update(role=Role.MEMBER)
    content = client.get("/admins").content.decode()

    assert content.count("Your role does not allow this") == 2  # the title and the heading
    assert "An owner or an admin of your household can do it" in content


SIGNED_OUT = [
    # path, headers, status, header, where to
    ("/", {}, 302, "Location", "/sign-in"),
    ("/net-worth?range=1m", {}, 302, "Location", "/sign-in?next=%2Fnet-worth%3Frange%3D1m"),
    ("/net-worth", {"HX-Request": "true"}, 200, "HX-Redirect", "/sign-in"),
]


@pytest.mark.parametrize(("url", "headers", "status", "header", "target"), SIGNED_OUT)
def test_signed_out_is_sent_to_sign_in(database, url, headers, status, header, target):
    response = Client().get(url, headers=headers)

    assert (response.status_code, response.headers[header]) == (status, target)


def test_member_who_left_is_signed_out(home, client):
    with operator():
        Membership.objects.filter(tenant=home).delete()

    assert client.get("/").headers["Location"] == "/sign-in"
    with shared():
        assert not Session.objects.exists()


def test_signing_out_ends_this_session_only(home, client):
    other = sign_in("owner@home.example")

    assert client.post("/sign-out").headers["Location"] == "/sign-in"

    assert [each.get("/").status_code for each in (client, other)] == [302, 200]


def test_signing_out_everywhere_ends_all(home, client):
    other = sign_in("owner@home.example")

    client.post("/sign-out", {"everywhere": "yes"})

    assert [each.get("/").status_code for each in (client, other)] == [302, 302]


def test_session_key_is_new_after_signing_in_and_kept_as_a_hash(home, client):
    before = client.cookies["sessionid"].value

    sign_in("owner@home.example", client)

    after = client.cookies["sessionid"].value
    assert after != before
    with shared():
        kept = list(Session.objects.values_list("session_key", flat=True))
    assert len(kept) == 1
    assert before not in kept
    assert after not in kept
    stolen = Client()
    stolen.cookies["sessionid"] = kept[0]
    assert stolen.get("/").status_code == 302


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(client):
    cookie = client.cookies["sessionid"]

    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


def test_opening_a_link_does_not_use_it(home):
    client = Client()
    link = ask_for_link("owner@home.example", client)

    assert [client.get(link).status_code for _ in range(3)] == [200] * 3
    assert client.get("/").status_code == 302
    assert client.post(link).headers["Location"] == "/"
    assert Client().post(link).status_code == 410


def test_answer_tells_not_whether_the_address_is_known(home):
    answers = [Client().post("/sign-in", {"email": f"{name}@home.example"}) for name in ("owner", "xwner")]

    assert [each.status_code for each in answers] == [200, 200]
    known, unknown = (re.sub(r"[A-Za-z0-9]{64}", "token", each.content.decode()) for each in answers)
    assert known == unknown.replace("xwner", "owner")
    assert send_links() == 2
    assert [each.to for each in mail.outbox] == [["owner@home.example"]]


def test_link_leads_to_the_site_whatever_the_request_calls_it(home, settings):
    settings.ALLOWED_HOSTS, settings.SITE_URL = ["*"], "https://app.example.com"

    Client().post("/sign-in", {"email": "owner@home.example"}, headers={"Host": "evil.example"})
    send_links()

    assert "https://app.example.com/sign-in/" in mail.outbox[0].body
    assert "evil" not in mail.outbox[0].message().as_string()


def test_person_without_a_household_stays_out(database):
    with operator():
        User.objects.create(email="lone@home.example")
    client = Client()
    link = ask_for_link("lone@home.example", client)

    assert client.post(link).status_code == 403
    assert client.get("/").status_code == 302


def test_form_from_elsewhere_is_refused(home):
    strict = Client(enforce_csrf_checks=True)

    assert strict.post("/sign-in", {"email": "owner@home.example"}).status_code == 403
    assert send_links() == 0
    assert mail.outbox == []


def test_switching_household_needs_a_membership(home, client):
    second, strange = make_tenant(slug="second"), make_tenant(slug="strange")
    with operator():
        Membership.objects.create(
            tenant=second, user_id=User.objects.get(email="owner@home.example").id, role=Role.VIEWER
        )

    assert [client.post("/switch-tenant", {"tenant": each}).status_code for each in (strange.id, "x", "")] == [403] * 3
    assert "Home" in client.get("/").content.decode()
    assert client.post("/switch-tenant", {"tenant": second.id}).status_code == 302
    assert "Second" in client.get("/").content.decode()


def test_portfolio_is_chosen_within_the_tenant(home, client):
    with tenant(home.id):
        make_portfolio(name="First")
        later = AT + dt.timedelta(seconds=1)
        second = create_portfolio(name="Second", currency="AUD", time_zone="Australia/Sydney", at=later)
    other = make_tenant()
    with tenant(other.id):
        strange = make_portfolio(name="Strange")

    def switch(portfolio_id, next_path="/net-worth"):
        response = client.post("/switch-portfolio", {"portfolio": portfolio_id, "next": next_path})
        return response.status_code, response.headers.get("Location")

    assert switch(strange.id) == switch("x") == (404, None)
    assert '<span class="cut">First</span>' in client.get("/").content.decode()
    assert switch(second.id, "//evil.example") == (302, "/")
    assert '<span class="cut">Second</span>' in client.get("/").content.decode()


def patterns_of(resolver, prefix=""):
    for each in resolver.url_patterns:
        text = prefix + str(each.pattern)
        yield from patterns_of(each, text) if hasattr(each, "url_patterns") else [text]


def with_passwords(resolver):
    return [text for text in patterns_of(resolver) if "password" in text.lower()]


def test_no_url_speaks_of_passwords():
    assert with_passwords(get_resolver()) == []
    assert len(list(patterns_of(get_resolver()))) > 20


def test_url_of_a_password_is_found():
    planted = URLResolver(RegexPattern("^/"), [path("account/", include([path("Password/reset", for_admins)]))])

    assert with_passwords(planted) == ["account/Password/reset"]

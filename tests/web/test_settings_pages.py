"""The pages of the settings, without a browser: what each form writes, what it refuses, and who may send it."""

import datetime as dt
import re

import pytest
from django.test import Client

from fatfire.web.settings.activity import words_for
from services.accounts import operations
from services.accounts.models import ApiKey
from services.accounts.queries import owner_of_key
from tenants import audit
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.permissions import Role
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value
from tests.web.conftest import sign_in
from tests.web.test_portfolios_page import become, errors_in, query_count

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


# The household


def test_household_is_saved(home, client):
    response = client.post("/settings/household", HOUSEHOLD | {"slug": "x", "country": "DE"})

    assert (response.status_code, response.headers["Location"]) == (303, "/settings/household")
    assert household(home) == ("The Smiths", "EUR", "Europe/Berlin")
    with tenant(home.id):
        assert (Tenant.objects.get().slug, Tenant.objects.get().country) == ("home", "AU")
        assert AuditEvent.objects.get(subject="tenant").details == {
            "name": "The Smiths",
            "home_currency": "EUR",
            "time_zone": "Europe/Berlin",
        }


HOUSEHOLD_REFUSED = [
    ({"name": ""}, "name", "Enter a name."),
    ({"name": "n" * 121}, "name", "A name has at most 120 characters; this one has 121."),
    ({"home_currency": "XYZ"}, "home_currency", "Enter the three letters of a currency, such as AUD or USD."),
    ({"time_zone": "Berlin"}, "time_zone", "Enter a time zone, such as Australia/Sydney."),
]


@pytest.mark.parametrize(("typed", "field", "words"), HOUSEHOLD_REFUSED)
def test_refused_household_changes_nothing(home, client, typed, field, words):
    before = household(home)

    response = client.post("/settings/household", HOUSEHOLD | typed)

    assert response.status_code == 422
    assert errors_in(response) == {field: words}
    assert household(home) == before


def test_members_are_listed_by_role(home, client):
    other = make_tenant()
    with operator():
        for name, role in (("Zoe", Role.VIEWER), ("Ben", Role.ADMIN), ("", Role.MEMBER)):
            person = User.objects.create(email=f"{role}@home.example", name=name)
            Membership.objects.create(tenant=home, user=person, role=role)

    page = client.get("/settings/household").content.decode()

    found = re.findall(r'<span class="cut">(\S+?)(?: <span class="tag">you</span>)?(?:<small>|</span>)', page)
    assert found[-4:] == [EMAIL, "Ben", "member@home.example", "Zoe"]
    assert re.findall(r'<td class="right">(\w+)</td>', page) == ["Owner", "Admin", "Member", "Viewer"]
    assert f"owner@{other.slug}.example" not in page


# Who may do what


MATRIX = [
    # path, least role to open it, least role to send its form (None: anyone), what is sent
    ("/settings/profile", Role.VIEWER, Role.VIEWER, PROFILE),
    ("/settings/household", Role.VIEWER, Role.ADMIN, HOUSEHOLD),
    ("/settings/security", Role.VIEWER, None, {}),
    ("/settings/keys", Role.ADMIN, None, {}),
    ("/settings/keys/new", Role.ADMIN, Role.ADMIN, {"name": "k", "role": "viewer", "days": "30"}),
    ("/settings/keys/{key}/revoke", Role.ADMIN, Role.ADMIN, {}),
    ("/settings/activity", Role.ADMIN, None, {}),
]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("path", "reads", "writes", "typed"), MATRIX, ids=[row[0] for row in MATRIX])
def test_roles(home, client, role, path, reads, writes, typed):
    with tenant(home.id):
        membership = Membership.objects.get()
        key = operations.create_api_key(membership_id=membership.id, name="k", role=Role.VIEWER, at=AT)
    become(home, role)
    path = path.format(key=key.id)

    assert client.get(path).status_code == (200 if role.allows(reads) else 403)
    sent = client.post(path, typed)
    if writes is None:
        assert sent.status_code == 405
    else:
        assert sent.status_code == (403 if not role.allows(writes) else 201 if path.endswith("new") else 303)
    with tenant(home.id):
        events = AuditEvent.objects.exclude(action__in=["sign_in"]).exclude(subject_id=key.id, action="create").count()
    assert events == (1 if writes and role.allows(writes) else 0)


TABS = {"You": Role.VIEWER, "Household": Role.VIEWER, "Browsers": Role.VIEWER}
TABS |= {"API keys": Role.ADMIN, "Activity": Role.ADMIN}


@pytest.mark.parametrize("role", list(Role))
def test_tabs_and_forms_are_those_that_can_be_used(home, client, role):
    become(home, role)

    page = client.get("/settings/household").content.decode()

    tabs = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL)[0]
    assert re.findall(r">([^<>]+)</a>", tabs) == [label for label, needed in TABS.items() if role.allows(needed)]
    assert ('id="id_home_currency"' in page) == role.allows(Role.ADMIN)
    assert "Australia/Sydney" in page


@pytest.mark.parametrize("path", [row[0] for row in MATRIX if "{" not in row[0]])
def test_signed_out_sees_nothing(database, path):
    assert Client().get(path).headers["Location"].startswith("/sign-in")


def test_settings_begin_with_the_person(client):
    assert client.get("/settings").headers["Location"] == "/settings/profile"
    assert 'href="/settings/profile"' in client.get("/").content.decode()


# API keys


def keys():
    with operator():
        return list(ApiKey.objects.order_by("created_at"))


def test_key_is_made_and_its_secret_shown_once(home, client):
    typed = {"name": "Spreadsheet", "role": "member", "days": "30", "secret": "mine"}

    response = client.post("/settings/keys/new", typed)

    assert response.status_code == 201
    assert "no-store" in response.headers["Cache-Control"]
    secret = re.search(r'value="(ff_[\w-]+)"', response.content.decode())[1]
    [key] = keys()
    assert owner_of_key(secret=secret).api_key_id == key.id
    assert (key.name, key.role) == ("Spreadsheet", "member")
    assert key.expires_at - key.created_at == dt.timedelta(days=30)
    page = client.get("/settings/keys").content.decode()
    assert "Spreadsheet" in page
    assert f"{secret[:10]}…" in page
    assert secret not in page
    assert secret not in str(client.session.items())


KEY_REFUSED = [
    ({"name": ""}, "name", "Enter a name."),
    ({"name": "n" * 81}, "name", "A name has at most 80 characters; this one has 81."),
    ({"role": "owner"}, "role", "Choose what it may do from the list."),  # an admin asks
    ({"role": ""}, "role", "Choose what it may do."),
    ({"days": "10000"}, "days", "Choose from the list when it expires."),
]


@pytest.mark.parametrize(("typed", "field", "words"), KEY_REFUSED)
def test_refused_key_is_not_made(home, client, typed, field, words):
    become(home, Role.ADMIN)

    response = client.post("/settings/keys/new", {"name": "k", "role": "viewer", "days": ""} | typed)

    assert response.status_code == 422
    assert errors_in(response) == {field: words}
    assert keys() == []


def test_key_that_never_expires(home, client):
    client.post("/settings/keys/new", {"name": "k", "role": "owner", "days": ""})

    assert [key.expires_at for key in keys()] == [None]
    assert "never expires" in client.get("/settings/keys").content.decode()


def test_key_is_revoked_after_a_question(home, client):
    client.post("/settings/keys/new", {"name": "k", "role": "viewer", "days": "30"})
    path = f"/settings/keys/{keys()[0].id}/revoke"
    assert "Revoke k?" in client.get(path).content.decode()
    assert keys()[0].revoked_at is None

    assert client.post(path).headers["Location"] == "/settings/keys"

    assert keys()[0].revoked_at is not None
    page = client.get("/settings/keys").content.decode()
    assert '<span class="tag warn">revoked</span>' in page
    assert path not in page


def test_key_of_another_household_is_nowhere(client):
    other = make_tenant()
    with tenant(other.id):
        key = operations.create_api_key(membership_id=Membership.objects.get().id, name="k", role=Role.VIEWER, at=AT)

    path = f"/settings/keys/{key.id}/revoke"
    assert [client.get(path).status_code, client.post(path).status_code] == [404, 404]
    assert keys()[0].revoked_at is None


# Activity


def test_activity_is_told_in_words(home, client):
    with tenant(home.id):
        asset = make_asset(make_portfolio(name="Wealth"), name="House")
        set_value(asset, "5")
        audit.record(action="reconcile", subject="tax_year", subject_id=None, at=AT + dt.timedelta(hours=1))

    client.post("/settings/profile", PROFILE)
    page = client.get("/settings/activity").content.decode()

    told = re.findall(r'<th scope="row"><span class="cut">(.*?)<small>(.*?)</small>', page)
    assert told[0] == ("Changed their profile", "Alex")
    assert told[1] == ("Signed in", "Alex")
    assert ("Reconciled the tax year", "fatfire") in told
    assert ("Set the value of House", "fatfire") in told
    assert ("Added the asset House", "fatfire") in told
    assert ("Added the portfolio Wealth", "fatfire") in told
    assert "23.11.2026, 13:00" in page  # the household's clock


WORDS = [
    ("create", "api_key", "Added the API key"),
    ("revoke", "api_key", "Revoked the API key"),
    ("rename", "asset", "Renamed the asset"),
    ("close", "asset", "Closed the asset"),
    ("update", "portfolio", "Changed the portfolio"),
    ("remove", "link", "Removed a bank"),
    ("delete", "insurance_policy", "Deleted the insurance policy"),
]


@pytest.mark.parametrize(("action", "subject", "words"), WORDS)
def test_events_in_words(action, subject, words):
    assert words_for(action, subject) == words


def test_activity_comes_in_pages_and_from_this_household_only(home, client):
    other = make_tenant()
    for owner, count in ((home, 40), (other, 1)):
        with tenant(owner.id):
            for number in range(count):
                at = AT + dt.timedelta(minutes=number)
                audit.record(action="count", subject=owner.slug, subject_id=None, at=at, name=f"<{number}>")

    first = client.get("/settings/activity").content.decode()
    second = client.get(re.search(r'href="(/settings/activity\?cursor=[^"]+)"', first)[1].replace("&amp;", "&"))

    assert (first.count("Counted the home"), second.content.decode().count("Counted the home")) == (29, 11)
    assert "&lt;39&gt;" in first
    assert other.slug not in first + second.content.decode()
    assert client.get("/settings/activity?cursor=x").status_code == 422


LISTS = ["/settings/security", "/settings/keys", "/settings/activity", "/settings/household"]


@pytest.mark.parametrize("path", LISTS)
def test_more_rows_take_no_more_queries(home, client, path):
    counts = []
    for number in range(1, 4):
        sign_in(EMAIL, Client(headers={"User-Agent": PHONE}))
        client.post("/settings/keys/new", {"name": "k", "role": "viewer", "days": "30"})
        with operator():
            person = User.objects.create(email=f"{number}@home.example")
            Membership.objects.create(tenant=home, user=person, role=Role.MEMBER)
        counts.append(query_count(client, path))

    assert counts[0] == counts[1] == counts[2]

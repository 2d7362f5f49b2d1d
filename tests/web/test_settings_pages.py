"""The pages of the settings, without a browser: what each form writes, what it refuses, and who may send it."""

import datetime as dt
import re

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import IntegrityError, connection
from django.test import Client

from fatfire.kit import clock
from fatfire.web.browsers import browser_of
from fatfire.web.settings.activity import words_for
from services.accounts import operations
from services.accounts.models import ApiKey, SignedInBrowser
from services.accounts.queries import owner_of_key
from tenants import audit
from tenants.isolation import operator, shared, tenant
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.permissions import Role
from tests.factories import AT, make_asset, make_portfolio, make_tenant, owner_id, set_value
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


# You


def test_profile_is_saved_and_pages_are_written_so(home, client):
    with tenant(home.id):
        set_value(make_asset(make_portfolio()), "1234.50")
    assert '<span class="num">$1,234<span class="cents">.50</span></span>' in client.get("/").content.decode()

    response = client.post("/settings/profile", PROFILE | {"is_operator": "on", "email": "x@y.example"})

    assert (response.status_code, response.headers["Location"]) == (303, "/settings/profile")
    assert everyone() == [(EMAIL, "Alex", "de-DE", False, 0)]
    page = client.get("/settings/profile").content.decode()
    assert "Your settings are saved" in page
    assert '<option value="de-DE" selected>' in page
    assert EMAIL in page
    assert '1.234<span class="cents">,50</span><span class="sign">\u00a0AU$</span>' in client.get("/").content.decode()
    with tenant(home.id):
        event = AuditEvent.objects.get(subject="profile")
    assert (event.actor_id, event.subject_id, event.details) == (owner_id(home), owner_id(home), {"locale": "de-DE"})


PROFILE_REFUSED = [
    ({"locale": "xx-XX"}, "locale", "Choose one of the languages and regions in the list."),
    ({"locale": ""}, "locale", "Choose a language and region."),
    ({"name": "n" * 121}, "name", "A name has at most 120 characters; this one has 121."),
]


@pytest.mark.parametrize(("typed", "field", "words"), PROFILE_REFUSED)
def test_refused_profile_changes_nothing(home, client, typed, field, words):
    before = everyone()

    response = client.post("/settings/profile", PROFILE | typed)

    assert response.status_code == 422
    assert errors_in(response) == {field: words}
    assert everyone() == before


def test_name_may_be_taken_away(home, client):
    client.post("/settings/profile", PROFILE)
    assert client.post("/settings/profile", {"name": "", "locale": "fr-FR"}).status_code == 303
    assert everyone() == [(EMAIL, "", "fr-FR", False, 0)]


# What app_tenant may do with people: nothing but that.


def test_profile_of_someone_in_no_open_household_stays(home):
    stranger = owner_id(make_tenant())
    before = everyone()

    with pytest.raises(Membership.DoesNotExist), tenant(home.id):
        operations.update_profile(user_id=stranger, name="Mallory", locale="de-DE", at=AT)
    calls = [
        ("change_profile(%s, 'Mallory', 'de-DE')", stranger, home.id),
        ("note_sign_in(%s, now(), 'de-DE')", stranger, home.id),
        ("change_profile(%s, 'Mallory', 'de-DE')", owner_id(home), None),
        ("note_sign_in(%s, now(), 'de-DE')", owner_id(home), None),
    ]
    for call, user_id, tenant_id in calls:
        with tenant(tenant_id) if tenant_id else shared(), connection.cursor() as cursor:
            cursor.execute(f"SELECT lookup.{call}", [user_id])
    assert everyone() == before


DIRECT = [
    "UPDATE tenants_user SET name = 'Mallory'",
    "UPDATE tenants_user SET locale = 'de-DE'",
    "UPDATE tenants_user SET is_operator = true",
    "UPDATE tenants_user SET last_login = now()",
    "DELETE FROM tenants_user",
    "UPDATE accounts_signedinbrowser SET browser = 'x'",
    "DELETE FROM accounts_signedinbrowser",
    "SELECT set_config('role', 'app_operator', true)",
]


@pytest.mark.parametrize("statement", DIRECT)
def test_people_are_not_changed_in_any_other_way(home, client, statement):
    before = everyone()

    with pytest.raises(Exception, match="permission denied") as refusal, tenant(home.id), connection.cursor() as cursor:
        cursor.execute(statement)

    assert isinstance(refusal.value.__cause__, psycopg.errors.InsufficientPrivilege)
    assert everyone() == before


def test_function_changes_name_and_locale_only(home, client):
    with operator():
        before = User.objects.values().get(email=EMAIL)

    with tenant(home.id), connection.cursor() as cursor:
        cursor.execute("SELECT lookup.change_profile(%s, 'Alex', 'de-DE')", [owner_id(home)])

    with operator():
        after = User.objects.values().get(email=EMAIL)
    assert {name for name in after if after[name] != before[name]} == {"name", "locale"}


def test_database_refuses_a_locale_that_is_none(home):
    with pytest.raises(IntegrityError, match="tenants_locale_is_a_tag"), tenant(home.id), connection.cursor() as cursor:
        cursor.execute("SELECT lookup.change_profile(%s, 'Alex', 'en_AU')", [owner_id(home)])


# The first sign-in


FIRST = [
    ("de-CH,de;q=0.9,en;q=0.8", "de-CH"),
    ("de,en-US;q=0.7,en;q=0.3", "de-DE"),
    ("ru,xx", "en-AU"),  # the household's country
    ("", "en-AU"),
    (",;q=", "en-AU"),
]


@pytest.mark.parametrize(("header", "locale"), FIRST)
def test_first_sign_in_takes_the_browsers_language(home, header, locale):
    sign_in(EMAIL, Client(headers={"Accept-Language": header}))
    assert user().locale == locale

    sign_in(EMAIL, Client(headers={"Accept-Language": "fr-FR"}))
    assert user().locale == locale


def test_household_decides_where_the_browser_says_nothing(database):
    home = make_tenant(slug="home")
    with operator():
        Tenant.objects.filter(id=home.id).update(country="DE")

    sign_in(EMAIL)

    assert user().locale == "de-DE"


def test_chosen_locale_survives_the_next_sign_in(home, client):
    with operator():  # as of someone who signed in before sign-ins were noted
        User.objects.update(last_login=None)
    client.post("/settings/profile", PROFILE)

    sign_in(EMAIL, Client(headers={"Accept-Language": "fr-FR"}))

    assert user().locale == "de-DE"


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


# Browsers


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

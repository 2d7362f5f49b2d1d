"""The page of one's own name and region, and what of a person the web may change at all."""

import psycopg
import pytest
from django.db import IntegrityError, connection
from django.test import Client

from services.accounts import operations
from tenants.isolation import operator, shared, tenant
from tenants.models import AuditEvent, Membership, Tenant, User
from tests.factories import AT, make_asset, make_portfolio, make_tenant, owner_id, set_value
from tests.web.conftest import sign_in
from tests.web.test_portfolios_page import errors_in

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

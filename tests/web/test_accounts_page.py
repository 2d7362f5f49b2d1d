"""The page of the bank accounts, against the running bank simulator."""

import datetime as dt
import html
import json
import re
import uuid
from contextlib import ExitStack

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from fatfire.kit.clock import local_date, now
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import Asset
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.sandbox.institutions import WATTLE
from services.jobs.models import Job, State
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent, Membership
from tenants.permissions import Role
from tests.factories import make_asset, make_portfolio, make_tenant, owner_id, set_value
from tests.web.banks import link_into, only_link, start, text_of, visit_bank

HTMX = {"HX-Request": "true"}
NOBODYS = uuid.UUID(int=1)
STYLE = re.compile(r" style=|<script>|onclick|javascript:")


def test_household_without_a_portfolio_is_told_so(home, client):
    response = client.get("/accounts")

    assert "No bank yet" in text_of(response)
    assert "Link to bank" not in text_of(response)
    assert client.post("/link-to-bank").status_code == 404


def test_linking_goes_to_the_bank_and_back(bank, home, portfolio, client, run_jobs):
    assert "No bank yet" in text_of(client.get("/accounts"))

    link_id, address = start(client, home)
    assert visit_bank(address) == f"http://testserver/links/{link_id}/return"
    assert "Finish" in text_of(client.get(f"/links/{link_id}/return"))
    response = client.post(f"/links/{link_id}/return")

    assert (response.status_code, response.headers["Location"]) == (303, "/accounts")
    assert "Waiting to read: New bank" in text_of(client.get("/accounts"))
    run_jobs()
    shown = text_of(client.get("/accounts"))
    assert WATTLE.name in shown
    assert client.get(f"/links/{link_id}/return").status_code == 303


def test_way_to_the_bank_is_a_link_and_loosens_no_policy(bank, home, portfolio, client):
    response = client.post("/link-to-bank")

    address = response.headers["Refresh"].removeprefix("0;url=")
    assert address.startswith(bank.url)
    assert f'href="{address}"' in response.content.decode()
    assert "form-action 'self';" in response.headers["Content-Security-Policy"] + ";"


def test_accounts_are_shown_with_kind_mask_value_and_day(home, portfolio, client, link_id):
    response = client.get("/accounts")

    with tenant(home.id):
        assets = list(Asset.objects.all())
    shown = text_of(response)
    assert assets
    assert [each.name for each in assets if each.name not in shown] == []
    assert re.search(r"Bank account •••• \d{4} · AUD", shown)
    assert f"{len(assets)} accounts at 1 bank." in shown
    assert "Linked" in shown
    assert "Read just now" in shown
    assert not STYLE.search(response.content.decode())


UNFINISHED = [("cancel", "haven't approved yet"), (None, "haven't approved yet")]


@pytest.mark.parametrize(("answer", "said"), UNFINISHED)
def test_finishing_without_approval_changes_nothing(bank, home, portfolio, client, answer, said):
    link_id, address = start(client, home)
    if answer:
        visit_bank(address, answer)

    response = client.post(f"/links/{link_id}/return")

    assert (response.status_code, said in response.content.decode().replace("&#x27;", "'")) == (409, True)
    assert only_link(home).state == LinkState.PENDING
    assert "Not finished" in text_of(client.get("/accounts"))


def test_unreachable_bank_is_said_on_the_page_and_changes_nothing(bank, home, portfolio, client, settings):
    link_id, address = start(client, home)
    visit_bank(address)
    settings.PLAID_URL = "http://127.0.0.1:9"

    answers = [client.post(path) for path in ("/link-to-bank", f"/links/{link_id}/return")]

    assert [each.status_code for each in answers] == [503, 503]
    assert ["Nothing was changed" in text_of(each) for each in answers] == [True, True]
    assert only_link(home).state == LinkState.PENDING
    with tenant(home.id):
        assert not Job.objects.filter(kind=SYNC_LINK.name).exists()


def test_missing_provider_is_said_on_the_page(home, portfolio, client, settings):
    settings.PLAID_URL = ""

    response = client.post("/link-to-bank")

    assert (response.status_code, "no bank can be linked" in text_of(response)) == (503, True)


def test_link_that_waited_too_long_is_not_shown(bank, home, portfolio, client):
    start(client, home)
    with tenant(home.id):
        Link.objects.update(created_at=now() - dt.timedelta(hours=5))

    assert "No bank yet" in text_of(client.get("/accounts"))


def test_refresh_without_scripts_comes_back_to_the_page(home, portfolio, client, link_id):
    response = client.post(f"/links/{link_id}/refresh")

    assert (response.status_code, response.headers["Location"]) == (303, "/accounts")
    shown = text_of(client.get("/accounts"))
    assert "Importing" in shown
    assert f"Waiting to read: {WATTLE.name}" in shown


def test_refresh_with_htmx_gives_the_toasts_alone(home, portfolio, client, link_id):
    response = client.post(f"/links/{link_id}/refresh", headers=HTMX)

    assert response.status_code == 200
    assert "<html" not in response.content.decode()
    assert response.content.decode().count('class="toast"') == 1
    assert json.loads(response.headers["HX-Trigger"]) == {"accounts-changed": {}}
    client.post(f"/links/{link_id}/refresh", headers=HTMX)
    with tenant(home.id):
        assert Job.objects.filter(kind=SYNC_LINK.name, state=State.QUEUED).count() == 1


def test_htmx_gets_the_banks_alone(home, portfolio, client, link_id):
    response = client.get("/accounts", headers=HTMX)

    assert response.content.decode().strip().startswith('<div id="accounts"')
    assert response.headers["Vary"].split(", ")[0] == "HX-Request"


TOASTS = [
    # kind, state, age in seconds, changes of the job, seconds to the next, words
    (SYNC_LINK, State.QUEUED, 0, {}, 1, "Waiting to read: Wattle"),
    (SYNC_LINK, State.RUNNING, 5, {"progress_note": "120 transactions read"}, 1, "120 transactions read"),
    (SYNC_LINK, State.RUNNING, 30, {"progress_done": 3, "progress_total": 9}, 3, "Reading: Wattle"),
    (SYNC_LINK, State.RUNNING, 90, {}, 10, "Reading: Wattle"),
    (SYNC_LINK, State.SUCCEEDED, 90, {"progress_note": "7 transactions imported"}, None, "7 transactions imported"),
    (SYNC_LINK, State.FAILED, 90, {"error_code": "consent_revoked"}, None, "wants a new sign-in"),
    (SYNC_LINK, State.FAILED, 90, {"error_code": "boom", "error_detail": "secret"}, None, "Something went wrong"),
    (SYNC_LINK, State.CANCELLED, 90, {}, None, "Reading was stopped"),
    (REMOVE_LINK, State.RUNNING, 1, {}, 1, "Removing: Wattle"),
    (REMOVE_LINK, State.SUCCEEDED, 1, {}, None, "Removed: Wattle"),
]


@pytest.mark.parametrize(("kind", "state", "age_s", "changes", "every_s", "words"), TOASTS)
def test_toast_says_how_far_the_job_is(home, portfolio, client, kind, state, age_s, changes, every_s, words):
    at = now() - dt.timedelta(seconds=age_s)
    with tenant(home.id):
        link = Link.objects.create(portfolio=portfolio, provider="plaid", institution="Wattle")
        ended_at = None if state in {State.QUEUED, State.RUNNING} else at
        job = Job.objects.create(
            kind=kind.name, subject_id=link.id, state=state, created_at=at, finished_at=ended_at, **changes
        )

    response = client.get(f"/jobs/{job.id}/toast", headers=HTMX)

    shown = response.content.decode()
    assert words in text_of(response)
    assert "secret" not in shown
    every = re.search(r'hx-trigger="every (\d+)s, nudge"', shown)
    assert (int(every[1]) if every else None) == every_s
    assert ("accounts-changed" in response.headers.get("HX-Trigger", "")) == (every_s is None)
    assert ('value="3" max="9"' in shown) == ("progress_total" in changes)


def test_failed_import_is_said_beside_the_bank(home, portfolio, client, link_id):
    with tenant(home.id):
        Job.objects.filter(kind=SYNC_LINK.name).update(state=State.FAILED, error_code="temporarily_unavailable")

    assert "Not read: The bank can&#x27;t be reached" in client.get("/accounts").content.decode()


def test_revoked_link_asks_for_a_new_sign_in(home, portfolio, client, link_id):
    with tenant(home.id):
        Link.objects.update(state=LinkState.REVOKED)

    shown = text_of(client.get("/accounts"))
    refused = client.post(f"/links/{link_id}/refresh")

    assert "Needs a new sign-in" in shown
    assert "Refresh data" not in shown
    assert (refused.status_code, "wants a new sign-in" in text_of(refused)) == (409, True)
    assert "accounts-changed" in client.post(f"/links/{link_id}/refresh", headers=HTMX).headers["HX-Trigger"]
    with tenant(home.id):
        assert not Job.objects.filter(kind=SYNC_LINK.name, state=State.QUEUED).exists()


NAMES = [
    # given, status, kept or said
    ("  Groceries ", 303, "Groceries"),
    ("", 422, "Enter a name, such as Everyday account."),
    ("   ", 422, "Enter a name, such as Everyday account."),
    ("x" * 121, 422, "Enter a name of at most 120 letters."),
    ("a\x00b", 422, "Null characters are not allowed."),
]


@pytest.mark.parametrize(("given", "status", "words"), NAMES)
def test_rename(home, portfolio, client, given, status, words):
    with tenant(home.id):
        asset = make_asset(portfolio, name="Old")

    response = client.post(f"/accounts/{asset.id}/rename", {"name": given})

    assert response.status_code == status
    with tenant(home.id):
        assert Asset.objects.get().name == (words if status == 303 else "Old")
    if status == 422:
        assert words in text_of(response)
        assert 'aria-invalid="true"' in response.content.decode()


def test_removing_asks_first_and_says_what_happens(home, portfolio, client, link_id, run_jobs):
    with tenant(home.id):
        names = list(Asset.objects.values_list("name", flat=True))

    asked = text_of(client.get(f"/links/{link_id}/remove"))
    assert only_link(home).state == LinkState.ACTIVE
    response = client.post(f"/links/{link_id}/remove")

    assert [name for name in names if name not in asked] == []
    assert f"{len(names)} accounts are closed as of today" in asked
    assert (response.status_code, response.headers["Location"]) == (303, "/accounts")
    assert "Being removed" in text_of(client.get("/accounts"))
    run_jobs()
    assert "No bank yet" in text_of(client.get("/accounts"))
    assert [
        client.get(f"/links/{link_id}/remove").status_code,
        client.post(f"/links/{link_id}/remove").status_code,
    ] == [
        409,
        409,
    ]
    with tenant(home.id):
        assert AuditEvent.objects.get(action="remove").actor_id == owner_id(home)


PATHS = [
    # method, path, a viewer's status, a member's status
    ("get", "/accounts", 200, 200),
    ("get", "/link-to-bank", 403, 200),
    ("post", "/link-to-bank", 403, 200),
    ("post", "/links/{link}/renew", 403, 200),
    ("post", "/links/{link}/count-twins", 403, 303),
    ("get", "/accounts/{account}/currency", 403, 200),
    ("post", "/accounts/{account}/currency", 403, 303),
    ("get", "/links/{link}/return", 403, 303),
    ("post", "/links/{link}/return", 403, 303),
    ("post", "/links/{link}/refresh", 403, 303),
    ("get", "/links/{link}/remove", 403, 200),
    ("post", "/links/{link}/remove", 403, 303),
    ("get", "/accounts/{asset}/rename", 403, 200),
    ("post", "/accounts/{asset}/rename", 403, 303),
    ("get", "/jobs/{job}/toast", 200, 200),
]


def ids_of(owner):
    with tenant(owner.id):
        return {
            "link": Link.objects.get().id,
            "asset": Asset.objects.order_by("id")[0].id,
            "account": LinkedAccount.objects.order_by("id")[0].id,
            "job": Job.objects.get(kind=SYNC_LINK.name).id,
        }


@pytest.mark.parametrize(("role", "column"), [(Role.VIEWER, 2), (Role.MEMBER, 3)])
def test_role_decides(home, portfolio, client, link_id, role, column):
    with operator():
        Membership.objects.filter(tenant=home).update(role=role)
    ids = ids_of(home)

    seen = [
        getattr(client, row[0])(row[1].format(**ids), {"name": "New", "currency": "USD"}).status_code for row in PATHS
    ]

    assert seen == [row[column] for row in PATHS]


def test_viewer_sees_no_button_that_would_be_refused(home, portfolio, client, link_id):
    with operator():
        Membership.objects.filter(tenant=home).update(role=Role.VIEWER)

    shown = client.get("/accounts").content.decode()

    assert WATTLE.name in shown
    refused = ("Link to bank", "Refresh data", "Remove bank", "/rename", "/currency")
    assert [word for word in refused if word in shown] == []


def test_ids_of_others_are_not_found(bank, home, portfolio, client, run_jobs):
    other = make_tenant()
    with tenant(other.id):
        theirs = make_portfolio()
    link_into(bank, other, theirs)
    run_jobs()
    nobodys = dict.fromkeys(("link", "asset", "account", "job"), NOBODYS)
    rows = [row for row in PATHS if "{" in row[1]]

    for ids in (ids_of(other), nobodys):
        seen = [
            getattr(client, row[0])(row[1].format(**ids), {"name": "New", "currency": "USD"}).status_code
            for row in rows
        ]
        assert seen == [404] * len(rows)
    assert only_link(other).state == LinkState.ACTIVE


def test_toast_tells_of_banks_only(home, portfolio, client):
    with tenant(home.id):
        set_value(make_asset(portfolio), "1.00")
        job = Job.objects.get(kind=REVALUE_PORTFOLIO.name)

    assert client.get(f"/jobs/{job.id}/toast").status_code == 404


def test_more_links_take_no_more_queries(bank, home, portfolio, client, run_jobs):
    counted = []
    for added in (1, 2):
        for _ in range(added):
            link_into(bank, home, portfolio)
        run_jobs()
        client.get("/accounts")
        with ExitStack() as stack:
            captured = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
            shown = client.get("/accounts").content.decode()
        assert shown.count('<div class="card" role="group"') == sum((1, 2)[: len(counted) + 1])
        counted.append(sum(len(each) for each in captured))

    assert counted[0] == counted[1]


CURRENCIES = [
    # given, status, kept or said
    ("usd", 303, "USD"),
    ("", 422, "Enter the three letters of a currency"),
    ("XYZ", 422, "Enter the three letters of a currency"),
    ("JPY", 422, "more decimals than JPY has"),
]


@pytest.mark.parametrize(("given", "status", "words"), CURRENCIES)
def test_currency_of_an_account(home, portfolio, client, link_id, run_jobs, given, status, words):
    with tenant(home.id):
        account = LinkedAccount.objects.get(name="Wattle Everyday")

    asked = text_of(client.get(f"/accounts/{account.id}/currency"))
    response = client.post(f"/accounts/{account.id}/currency", {"currency": given})
    run_jobs()

    assert "Wattle Bank says AUD. Change it only if that is wrong" in asked
    assert response.status_code == status
    with tenant(home.id):
        assert Asset.objects.get(id=account.asset_id).currency == (words if status == 303 else "AUD")
    shown = text_of(response) if status == 422 else text_of(client.get("/accounts"))
    assert (words if status == 422 else "Currency saved") in shown


def test_account_without_a_currency_is_shown_and_asks_for_one(home, portfolio, client, link_id, run_jobs):
    with tenant(home.id):
        account = LinkedAccount.objects.get(name="Low Rate Platinum")
        asset_id = account.asset_id
        LinkedAccount.objects.filter(id=account.id).update(asset=None, identity=None, currency="")
        Asset.objects.filter(id=asset_id).delete()

    shown = html.unescape(text_of(client.get("/accounts")))
    asked = html.unescape(text_of(client.get(f"/accounts/{account.id}/currency")))

    assert "Low Rate Platinum Not counted: the bank doesn't say in what currency it is." in shown
    assert "so it isn't counted" in asked


def test_bank_that_is_linked_twice_is_said_and_not_counted_twice(bank, home, portfolio, client, link_id, run_jobs):
    again = link_into(bank, home, portfolio)
    run_jobs()

    shown = text_of(client.get("/accounts"))
    assert "4 accounts at 1 bank." in shown
    assert "Linked already. 4 accounts come through another link of Wattle Bank too" in shown
    client.post(f"/links/{again}/count-twins")
    run_jobs()
    shown = text_of(client.get("/accounts"))
    assert "8 accounts at 1 bank." in shown
    assert "Linked already" not in shown


def test_bank_that_was_not_read_for_days_says_since_when(home, portfolio, client, link_id):
    read_at = now() - dt.timedelta(days=3)
    with tenant(home.id):
        Link.objects.update(synced_at=read_at)

    shown = text_of(client.get("/accounts"))

    assert "Out of date" in shown
    assert f"Not read since {local_date(read_at, 'Australia/Sydney'):%-d %b %Y}" in shown
    assert "Refresh data" in shown


def test_first_import_says_that_it_is_busy(bank, home, portfolio, client):
    link_into(bank, home, portfolio)

    shown = client.get("/accounts").content.decode()

    assert shown.count('aria-busy="true"') == 1
    assert shown.count('class="skeleton" aria-hidden="true"') == 1


PROBLEMS = [
    ("temporarily_unavailable", "The bank can't be reached at the moment. Wait a few minutes. Refresh data"),
    ("bank_not_configured", "Ask whoever runs this site."),
    ("internal_error", "Something went wrong here, and nothing was changed. Refresh data to try again."),
]


@pytest.mark.parametrize(("code", "words"), PROBLEMS)
def test_failed_import_says_what_to_do_next(home, portfolio, client, link_id, code, words):
    with tenant(home.id):
        Job.objects.filter(kind=SYNC_LINK.name).update(state=State.FAILED, error_code=code)

    assert words in html.unescape(text_of(client.get("/accounts")))


def test_only_good_news_leaves_by_itself(home, portfolio, client):
    with tenant(home.id):
        link = Link.objects.create(portfolio=portfolio, provider="plaid")
        jobs = [
            Job.objects.create(kind=SYNC_LINK.name, subject_id=link.id, state=state, finished_at=now())
            for state in (State.SUCCEEDED, State.FAILED)
        ]

    toasts = [client.get(f"/jobs/{job.id}/toast", headers=HTMX).content.decode() for job in jobs]

    assert ["data-leaves" in each for each in toasts] == [True, False]
    assert ["data-close" in each for each in toasts] == [True, True]


def test_currency_of_something_kept_by_hand(home, portfolio, client):
    with tenant(home.id):
        asset = make_asset(portfolio, name="Car")
        set_value(asset, "12.50")

    asked = text_of(client.get(f"/assets/{asset.id}/currency"))
    refused = client.post(f"/assets/{asset.id}/currency", {"currency": "JPY"})
    response = client.post(f"/assets/{asset.id}/currency", {"currency": "USD"})

    assert "nothing is converted" in asked
    assert (refused.status_code, "more decimals than JPY has" in text_of(refused)) == (422, True)
    assert (response.status_code, response.headers["Location"]) == (303, f"/assets/{asset.id}")
    with tenant(home.id):
        assert Asset.objects.get().currency == "USD"

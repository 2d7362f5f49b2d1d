"""The simulator's own ways: its controls, its file, its server and the page where a person approves."""

import contextlib
import datetime as dt
import re
import socket
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from fatfire.kit import http
from services.integration.providers.plaid import BankUnavailable, Plaid
from services.integration.sandbox.answers import exact_json
from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.institutions import KURRAJONG, WATTLE
from services.integration.sandbox.problems import Problem
from services.integration.sandbox.server import PortTaken, Server, serve
from services.integration.sandbox.store import Store
from tests.contracts.bank import TODAY, running_bank

DAY = dt.timedelta(days=1)
REPOSITORY = Path(__file__).parents[4]
RETURN_TO = "https://fatfire.test/links/done?state=a&b=c"


@pytest.fixture
def browser():
    """A browser that goes no further than it is sent, and sends no cookies."""
    with httpx.Client(trust_env=False) as client:
        yield client


def everyday(bank, item_id):
    return next(found for found in bank.store.accounts(item_id) if found.plan.key == "everyday")


def test_exact_json_writes_every_digit():
    value = {"a": [Decimal("0.10"), Decimal("1E+3"), 1, None, True], 'q"': "é"}

    assert exact_json(value) == '{"a":[0.10,1000,1,null,true],"q\\"":"\\u00e9"}'


# What the adapter never does, sent as a mistaken client would.
@pytest.mark.parametrize(
    ("path", "asked", "error_code"),
    [
        ("/institutions/get_by_id", {"institution_id": "ins_1", "country_codes": ["US"]}, "INVALID_INSTITUTION"),
        ("/institutions/get_by_id", {"institution_id": "ins_900001", "country_codes": ["FR"]}, "INVALID_INSTITUTION"),
        ("/link/token/get", {"link_token": "link-sandbox-invented"}, "INVALID_LINK_TOKEN"),
        (
            "/sandbox/public_token/create",
            {"institution_id": "ins_1", "initial_products": ["transactions"]},
            "INVALID_INSTITUTION",
        ),
        (
            "/link/token/create",
            {"client_name": "n", "language": "en", "country_codes": ["US"], "user": {"client_user_id": "u"}},
            "MISSING_FIELDS",
        ),
        (
            "/link/token/create",
            {
                "client_name": "n",
                "language": "en",
                "country_codes": ["US"],
                "user": {"client_user_id": "u"},
                "products": ["transactions"],
                "hosted_link": {"completion_redirect_uri": "javascript:alert(1)"},
            },
            "INVALID_FIELD",
        ),
    ],
)
def test_a_mistaken_request_has_plaids_error(bank, path, asked, error_code):
    answer = bank.sandbox(path, **asked)

    assert answer["error_code"] == error_code
    assert answer["request_id"]


def test_credentials_may_come_in_the_body(bank):
    asked = {"count": 1, "offset": 1, "country_codes": ["US"]}

    answer = http.Client(bank.url).post("/institutions/get", asked | {"client_id": CLIENT_ID, "secret": SECRET}).body
    refused = http.Client(bank.url).post("/institutions/get", asked).body

    assert [found["name"] for found in answer["institutions"]] == ["Banksia Mutual"]
    assert answer["total"] == 4
    assert refused["error_code"] == "INVALID_API_KEYS"


def test_an_unknown_path_is_not_found_and_breaks_the_contract(tmp_path):
    with pytest.raises(AssertionError, match="POST /accounts/take"), running_bank(tmp_path / "bank.sqlite3") as bank:
        assert bank.sandbox("/accounts/take")["error_code"] == "NOT_FOUND"


def test_balance_get_shows_the_accounts_too(bank):
    item = bank.link()

    balances = bank.sandbox("/accounts/balance/get", access_token=item.access_token)["accounts"]

    assert balances == bank.sandbox("/accounts/get", access_token=item.access_token)["accounts"]
    assert [found["balances"]["current"] for found in balances] == [
        Decimal("90892.32"),
        Decimal("20510.14"),
        Decimal("6972.71"),
        Decimal("25194.11"),
    ]


def test_sandbox_transactions_land_on_the_first_depository_account(bank):
    item = bank.link()
    before = everyday(bank, item.item_id).current
    transaction = {"date_transacted": "2026-03-17", "date_posted": "2026-03-18", "amount": 12, "description": "Kite"}

    bank.sandbox("/sandbox/transactions/create", access_token=item.access_token, transactions=[transaction])

    account = everyday(bank, item.item_id)
    assert account.current == before - Decimal("12.00")
    newest = bank.store.transactions(account.account_id)[-1]
    assert (newest.description, newest.amount, newest.booked_on) == ("Kite", Decimal("12.00"), TODAY)


@pytest.mark.parametrize(
    ("institution", "changed"),
    [
        (WATTLE, {"date_posted": "2026-03-03"}),
        (WATTLE, {"date_posted": "2026-03-19"}),
        (WATTLE, {"amount": 0.001}),
        (KURRAJONG, {}),
    ],
)
def test_sandbox_transactions_that_plaid_refuses_change_nothing(bank, institution, changed):
    item = bank.link(institution.institution_id)
    before = bank.store.accounts()
    transaction = {"date_transacted": "2026-03-17", "date_posted": "2026-03-18", "amount": 12, "description": "Kite"}

    answer = bank.sandbox(
        "/sandbox/transactions/create", access_token=item.access_token, transactions=[transaction | changed]
    )

    assert answer["error_code"] == "INVALID_FIELD"
    assert bank.store.accounts() == before


def test_pending_leaves_the_balance_and_takes_from_what_is_available(bank):
    item = bank.link()
    before = everyday(bank, item.item_id)

    pending_id = bank.store.add_transaction(before.account_id, Decimal("40.00"), TODAY, "Hotel", pending=True)
    pending = everyday(bank, item.item_id)
    bank.store.post_pending(pending_id, TODAY)
    posted = everyday(bank, item.item_id)

    assert (pending.current, pending.available) == (before.current, before.available - 40)
    assert (posted.current, posted.available) == (before.current - 40, before.available - 40)


def test_modifying_and_removing_move_the_balance_back(bank):
    item = bank.link()
    before = everyday(bank, item.item_id)

    transaction_id = bank.store.add_transaction(before.account_id, Decimal("40.00"), TODAY, "Hotel")
    bank.store.modify_transaction(transaction_id, amount=Decimal("50.00"))
    modified = everyday(bank, item.item_id)
    bank.store.remove_transaction(transaction_id)

    assert modified.current == before.current - 50
    assert everyday(bank, item.item_id) == before
    with pytest.raises(KeyError):
        bank.store.remove_transaction(transaction_id)


def test_set_balance_is_what_the_bank_then_says(bank):
    item = bank.link()

    bank.store.set_balance(everyday(bank, item.item_id).account_id, Decimal("1.05"))

    assert bank.plaid.accounts(item.access_token)[0].balance == Decimal("1.05")


def test_an_amount_with_a_fraction_of_a_cent_is_refused(bank):
    item = bank.link()
    account = everyday(bank, item.item_id)

    with pytest.raises(ValueError, match="fraction of a cent"):
        bank.store.add_transaction(account.account_id, Decimal("1.005"), TODAY, "Hotel")

    assert everyday(bank, item.item_id) == account


def test_fail_next_fails_as_often_as_asked(bank):
    bank.store.fail_next("/institutions/get", "INSTITUTION_DOWN", times=2)

    for _ in range(2):
        with pytest.raises(BankUnavailable):
            bank.plaid.list_institutions()

    assert len(bank.plaid.list_institutions()) == 4


def test_an_unknown_fault_is_refused(bank):
    with pytest.raises(KeyError):
        bank.store.fail_next("/institutions/get", "NO_SUCH_CODE")


def test_a_day_that_comes_between_two_pages_restarts_the_sync(bank):
    item = bank.link()
    cursor = bank.plaid.sync_page(item.access_token, None, 5).next_cursor
    bank.clock.today += DAY

    answer = bank.sandbox("/transactions/sync", access_token=item.access_token, cursor=cursor, count=5)

    assert answer["error_code"] == "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"


def test_the_page_lists_the_banks_with_labels(bank, browser):
    created = bank.plaid.create_link_token("user-1", "en", ["US"], client_name="Smith & <Sons>")

    page = browser.get(created.hosted_url)

    assert page.status_code == 200
    assert re.findall(r'<label><input type="radio" name="institution_id" value="(\w+)" required>', page.text) == [
        "ins_900001",
        "ins_900002",
        "ins_900003",
        "ins_900004",
    ]
    assert "<legend>Your bank</legend>" in page.text
    assert "Smith &amp; &lt;Sons&gt;" in page.text
    assert "<script" not in page.text


def test_approving_links_the_bank_and_returns_to_the_client(bank, browser):
    created = bank.plaid.create_link_token("user-1", "en", ["US"], completion_redirect_uri=RETURN_TO)
    assert browser.get(created.hosted_url).status_code == 200

    sent = browser.post(created.hosted_url, data={"institution_id": WATTLE.institution_id, "answer": "approve"})

    assert (sent.status_code, sent.headers["Location"]) == (303, RETURN_TO)
    [public_token] = bank.plaid.get_link_result(created.token)
    item = bank.plaid.exchange_public_token(public_token)
    assert bank.plaid.institution_of(item.access_token).name == "Wattle Bank"
    oldest = min(found.booked_on for found in bank.store.transactions(everyday(bank, item.item_id).account_id))
    assert oldest < TODAY - 700 * DAY


def test_approving_without_a_return_address_says_done(bank, browser):
    created = bank.plaid.create_link_token("user-1", "en", ["US"])

    sent = browser.post(created.hosted_url, data={"institution_id": WATTLE.institution_id, "answer": "approve"})

    assert sent.status_code == 200
    assert "<h1>Your bank is linked</h1>" in sent.text
    assert len(bank.plaid.get_link_result(created.token)) == 1


def test_cancelling_links_nothing(bank, browser):
    created = bank.plaid.create_link_token("user-1", "en", ["US"], completion_redirect_uri=RETURN_TO)

    sent = browser.post(created.hosted_url, data={"institution_id": WATTLE.institution_id, "answer": "cancel"})

    assert (sent.status_code, sent.headers["Location"]) == (303, RETURN_TO)
    assert bank.plaid.get_link_result(created.token) == []
    assert bank.store.items() == []


def test_approving_no_bank_asks_again(bank, browser):
    created = bank.plaid.create_link_token("user-1", "en", ["US"])

    sent = browser.post(created.hosted_url, data={"answer": "approve"})

    assert sent.status_code == 422
    assert '<p role="alert">Choose a bank first.</p>' in sent.text
    assert bank.store.items() == []


def test_a_link_works_once_and_not_after_its_end(bank, browser):
    used = bank.plaid.create_link_token("user-1", "en", ["US"])
    late = bank.plaid.create_link_token("user-1", "en", ["US"])
    approval = {"institution_id": WATTLE.institution_id, "answer": "approve"}
    browser.post(used.hosted_url, data=approval)
    bank.clock.now += dt.timedelta(minutes=30)

    answers = [browser.post(created.hosted_url, data=approval).status_code for created in (used, late)]

    assert answers == [404, 404]
    assert browser.get(f"{bank.url}/link/link-sandbox-invented").status_code == 404
    assert len(bank.store.items()) == 1


def test_renewing_consent_on_the_page_opens_the_item_again(bank, browser):
    item = bank.link()
    bank.sandbox("/sandbox/item/reset_login", access_token=item.access_token)
    created = bank.plaid.create_link_token("user-1", "en", ["US"], access_token=item.access_token)

    assert "Wattle Bank asks you to sign in again." in browser.get(created.hosted_url).text
    browser.post(created.hosted_url, data={"answer": "approve"})

    assert bank.plaid.get_link_result(created.token) == []
    assert len(bank.plaid.accounts(item.access_token)) == 4
    assert len(bank.store.items()) == 1


def test_a_restart_on_the_same_file_keeps_everything(tmp_path):
    path = tmp_path / "bank.sqlite3"
    with running_bank(path) as bank:
        item = bank.link()
        page = bank.plaid.sync_page(item.access_token, None, 5)
        accounts = bank.plaid.accounts(item.access_token)

    with running_bank(path) as bank:
        again = bank.plaid.sync_page(item.access_token, page.next_cursor, 5)
        assert bank.plaid.accounts(item.access_token) == accounts

    assert len(again.added) == 5
    assert {found.external_id for found in again.added} & {found.external_id for found in page.added} == set()


def test_what_was_answered_survives_a_kill(tmp_path):
    command = [sys.executable, "-m", "services.integration.sandbox", "--port", "0"]
    command += ["--store", str(tmp_path / "bank.sqlite3")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        url = process.stdout.readline().split()[-1]
        client = http.Client(url, headers={"PLAID-CLIENT-ID": CLIENT_ID, "PLAID-SECRET": SECRET})
        asked = {"institution_id": WATTLE.institution_id, "initial_products": ["transactions"]}
        public_token = client.post("/sandbox/public_token/create", asked).body["public_token"]
        item = Plaid(url, CLIENT_ID, SECRET).exchange_public_token(public_token)
        process.kill()
    http.close_connections()

    with running_bank(tmp_path / "bank.sqlite3") as bank:
        assert [found.item_id for found in bank.store.items()] == [item.item_id]
        assert len(bank.store.accounts(item.item_id)) == 4
        with pytest.raises(Problem, match="could not find matching public token"):
            bank.store.exchange(public_token, at=bank.clock.now)


def test_a_taken_port_is_said_clearly(tmp_path):
    with serve(tmp_path / "one.sqlite3", 0, today=lambda: TODAY) as first:
        port = int(first.url.rsplit(":", 1)[1])

        with pytest.raises(PortTaken, match=rf"Port {port} can't be used \(Address already in use\)\."):
            serve(tmp_path / "two.sqlite3", port)


def test_a_closed_server_frees_its_port_and_may_be_closed_again(tmp_path):
    with serve(tmp_path / "one.sqlite3", 0, today=lambda: TODAY) as first:
        port = int(first.url.rsplit(":", 1)[1])
        assert len(Plaid(first.url, CLIENT_ID, SECRET).list_institutions()) == 4
    first.close()
    http.close_connections()

    with contextlib.closing(socket.socket()) as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    with serve(tmp_path / "one.sqlite3", port, today=lambda: TODAY) as second:
        assert second.url == first.url


def test_a_transaction_that_raises_changes_nothing(tmp_path):
    def link_and_fail(store):
        with store.transaction():
            store.link(WATTLE.institution_id, today=TODAY, history_days=1)
            store.link("ins_1", today=TODAY)

    with contextlib.closing(Store(tmp_path / "bank.sqlite3")) as store:
        with pytest.raises(Problem):
            link_and_fail(store)

        assert store.items() == []
        assert store.accounts() == []


def test_the_server_takes_requests_side_by_side():
    """Two requests meet inside the application: one alone would wait for ever, and the client would give up."""
    meeting = threading.Barrier(2, timeout=10)

    def application(environ, start_response):
        meeting.wait()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    with Server(application, 0) as server:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(http.Client(server.url).get("/"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        http.close_connections()

    assert [answer.status for answer in answers] == [200, 200]

"""The adapter against the simulator over real HTTP; each exchange is held against Plaid's published document."""

import datetime as dt
import json
from decimal import Decimal

import httpx
import pytest

from fatfire.kit import http
from fatfire.kit.errors import DomainError, TransientError
from services.integration.providers.plaid import (
    BankAccount,
    BankRefused,
    BankTransaction,
    BankUnavailable,
    ConsentRevoked,
    Institution,
    InstitutionUnknown,
    Item,
    ItemGone,
    Plaid,
    PublicTokenInvalid,
    SyncPage,
    SyncRestart,
)
from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.institutions import BANKSIA, KURRAJONG, SEQUOIA, WATTLE
from services.integration.sandbox.server import Server
from tests.contracts.bank import NOW, TODAY, running_bank

DAY = dt.timedelta(days=1)


@pytest.fixture
def bank(tmp_path):
    with running_bank(tmp_path / "bank.sqlite3") as running:
        yield running


def everything(plaid, access_token, cursor=None, count=500):
    """Return every page from `cursor` to the end."""
    pages = [plaid.sync_page(access_token, cursor, count)]
    while pages[-1].has_more:
        pages.append(plaid.sync_page(access_token, pages[-1].next_cursor, count))
    return pages


def account_named(bank, item, name):
    return next(found for found in bank.store.accounts(item.item_id) if found.plan.name == name)


def test_create_link_token_gives_the_hosted_page_and_its_end(bank):
    created = bank.plaid.create_link_token("user-1", "en", ["US"])

    assert created.token.startswith("link-sandbox-")
    assert created.expires_at == NOW + dt.timedelta(minutes=30)
    assert created.hosted_url == f"{bank.url}/link/{created.token}"


def test_create_link_token_without_hosting_has_no_page(bank):
    created = bank.plaid.create_link_token("user-1", "en", ["US"], hosted=False, webhook="https://fatfire.test/hooks")

    assert created.hosted_url is None
    assert created.expires_at == NOW + dt.timedelta(hours=4)


def test_get_link_result_is_empty_before_the_person_approves(bank):
    created = bank.plaid.create_link_token("user-1", "en", ["US"])

    assert bank.plaid.get_link_result(created.token) == []


def test_exchange_public_token_works_once(bank):
    public_token = bank.sandbox(
        "/sandbox/public_token/create", institution_id=WATTLE.institution_id, initial_products=["transactions"]
    )["public_token"]
    item = bank.plaid.exchange_public_token(public_token)

    with pytest.raises(PublicTokenInvalid):
        bank.plaid.exchange_public_token(public_token)

    assert [found.item_id for found in bank.store.items()] == [item.item_id]
    assert len(bank.plaid.accounts(item.access_token)) == 4


def test_exchange_public_token_after_its_end_is_refused(bank):
    asked = {"institution_id": WATTLE.institution_id, "initial_products": ["transactions"]}
    public_token = bank.sandbox("/sandbox/public_token/create", **asked)["public_token"]
    bank.clock.now += dt.timedelta(minutes=30)

    with pytest.raises(PublicTokenInvalid):
        bank.plaid.exchange_public_token(public_token)


def test_item_shows_no_token_in_its_repr():
    assert repr(Item("item-1", "access-secret")) == "Item(item_id='item-1')"


def test_institution_of_names_the_bank(bank):
    item = bank.link(KURRAJONG.institution_id)

    assert bank.plaid.institution_of(item.access_token) == Institution("ins_900003", "Kurrajong Super", "990000030")


def test_list_institutions_names_every_bank(bank):
    assert bank.plaid.list_institutions() == [
        Institution("ins_900001", "Wattle Bank", "990000010"),
        Institution("ins_900002", "Banksia Mutual", "990000020"),
        Institution("ins_900003", "Kurrajong Super", "990000030"),
        Institution("ins_900004", "Sequoia Trust", "990000040"),
    ]


FOUND = [
    ("wattle", ["Wattle Bank"]),
    ("BANK", ["Wattle Bank", "Banksia Mutual"]),
    ("trust sequoia", ["Sequoia Trust"]),
    ("no such bank", []),
]


@pytest.mark.parametrize(("query", "names"), FOUND)
def test_search_finds_banks_by_words_of_their_names(bank, query, names):
    found = bank.plaid.search_institutions(query)

    assert sorted(each.name for each in found) == sorted(names)


def test_first_institutions_are_as_many_as_asked_for(bank):
    assert [each.name for each in bank.plaid.first_institutions(2)] == ["Wattle Bank", "Banksia Mutual"]


def test_institution_that_nobody_knows_is_a_named_error(bank):
    with pytest.raises(InstitutionUnknown):
        bank.plaid.institution("ins_0")


def test_named_bank_is_first_and_chosen_on_the_hosted_page(bank):
    number = bank.plaid.institution(SEQUOIA.institution_id).routing_number
    created = bank.plaid.create_link_token("user-1", "en", ["US"], routing_number=number)
    unnamed = bank.plaid.create_link_token("user-1", "en", ["US"])

    with httpx.Client(trust_env=False) as browser:
        page, plain = (browser.get(each.hosted_url).text for each in (created, unnamed))

    first = f'value="{SEQUOIA.institution_id}" required checked'
    assert page.index(first) < page.index(WATTLE.institution_id)
    assert page.count("checked") == 1
    assert "checked" not in plain


@pytest.mark.parametrize(("answer", "signed_in"), [("approve", True), ("cancel", False)])
def test_bank_lets_in_again_once_the_person_renewed(bank, answer, signed_in):
    item = bank.link()
    bank.sandbox("/sandbox/item/reset_login", access_token=item.access_token)
    assert not bank.plaid.is_signed_in(item.access_token)

    created = bank.plaid.create_link_token("user-1", "en", ["US"], access_token=item.access_token)
    with httpx.Client(trust_env=False) as browser:
        assert "Wattle Bank asks you to sign in again" in browser.get(created.hosted_url).text
        browser.post(created.hosted_url, data={"answer": answer})

    assert bank.plaid.is_signed_in(item.access_token) is signed_in
    assert bank.plaid.get_link_result(created.token) == []


# Plaid says what a debt owes as a positive number; ours is negative.
@pytest.mark.parametrize(
    ("institution", "expected"),
    [
        (
            WATTLE,
            [
                ("Wattle Everyday", "bank_account", "AUD", Decimal("90892.32")),
                ("Wattle Saver", "bank_account", "AUD", Decimal("20510.14")),
                ("Low Rate Platinum", "credit_card", "AUD", Decimal("-6972.71")),
                ("Wattle Access", "loan", "AUD", Decimal("-25194.11")),
            ],
        ),
        (
            BANKSIA,
            [
                ("Banksia Everyday", "bank_account", "AUD", Decimal("34600.75")),
                ("Home loan", "loan", "AUD", Decimal("-203871.94")),
                ("Loan for vacation", "loan", "AUD", Decimal("-5521.92")),
            ],
        ),
        (KURRAJONG, [("Superannuation", "superannuation", "AUD", Decimal("312480.55"))]),
        (
            SEQUOIA,
            [
                ("Sequoia Checking", "bank_account", "USD", Decimal("18204.77")),
                ("Sequoia Savings", "bank_account", "USD", Decimal("12640.30")),
                ("Sequoia Card", "credit_card", "USD", Decimal("-842.16")),
                ("Sequoia Brokerage", "share", "USD", Decimal("27643.10")),
            ],
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_accounts_have_our_kinds_and_signs(bank, institution, expected):
    item = bank.link(institution.institution_id)

    accounts = bank.plaid.accounts(item.access_token)

    assert [(found.name, found.kind, found.currency, found.balance) for found in accounts] == expected


def test_accounts_carry_every_field(bank):
    item = bank.link(KURRAJONG.institution_id)

    assert bank.plaid.accounts(item.access_token) == [
        BankAccount(
            external_id=account_named(bank, item, "Superannuation").account_id,
            name="Superannuation",
            official_name="Kurrajong Super Growth",
            mask="5561",
            kind="superannuation",
            subtype="retirement",
            currency="AUD",
            balance=Decimal("312480.55"),
            available=None,
        )
    ]


def answering(*bodies, status="200 OK"):
    """Return an application that gives each of `bodies` in turn, whatever is asked."""
    waiting = list(bodies)

    def application(environ, start_response):
        environ["wsgi.input"].read()
        start_response(status, [("Content-Type", "application/json")])
        return [waiting.pop(0)]

    return application


@pytest.fixture
def plaid_answering():
    """Return a function that serves fixed answers and gives an adapter for them: for what the simulator never says."""
    servers = []

    def serve(*bodies, status="200 OK"):
        servers.append(Server(answering(*bodies, status=status), 0))
        return Plaid(servers[-1].url, CLIENT_ID, SECRET)

    yield serve
    http.close_connections()
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("bank_type", "current", "kind", "balance"),
    [
        (("depository", "checking"), "10.00", "bank_account", Decimal("10.00")),
        (("depository", "checking"), "-10.00", "bank_account", Decimal("-10.00")),
        (("credit", "credit card"), "10.00", "credit_card", Decimal("-10.00")),
        (("credit", "credit card"), "-10.00", "credit_card", Decimal("10.00")),
        (("loan", "mortgage"), "0.1", "loan", Decimal("-0.1")),
        (("loan", "student"), "0", "loan", Decimal("0")),
        (("investment", "retirement"), "7", "superannuation", Decimal("7")),
        (("investment", "401k"), "7", "superannuation", Decimal("7")),
        (("investment", "brokerage"), "7", "share", Decimal("7")),
        (("investment", None), "7", "share", Decimal("7")),
        (("brokerage", "ira"), "7", "superannuation", Decimal("7")),
        (("other", "other"), "7", "other", Decimal("7")),
        (("not yet invented", None), "7", "other", Decimal("7")),
        (("depository", "checking"), "null", "bank_account", None),
        (("loan", "mortgage"), "null", "loan", None),
    ],
)
def test_kind_and_sign_of_a_balance(plaid_answering, bank_type, current, kind, balance):
    type_, subtype = bank_type
    account = f"""{{"account_id": "a", "name": "n", "mask": null, "official_name": null,
        "type": {json.dumps(type_)}, "subtype": {json.dumps(subtype)}, "balances": {{"current": {current},
        "available": null, "limit": null, "iso_currency_code": null, "unofficial_currency_code": "BTC"}}}}"""
    plaid = plaid_answering(f'{{"accounts": [{account}]}}'.encode())

    [found] = plaid.accounts("t")

    assert (found.kind, found.balance, str(found.balance)) == (kind, balance, str(balance))
    assert found.currency is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", "200 OK"),
        (b"<html>", "200 OK"),
        (b"[]", "200 OK"),
        (b"null", "200 OK"),
        (b"{}", "200 OK"),
        (b'{"accounts": null}', "200 OK"),
        (b'{"accounts": [1]}', "200 OK"),
        (b'{"accounts": [{}]}', "200 OK"),
        (b'{"accounts": [{"account_id": 1}]}', "200 OK"),
        (b'{"accounts": [NaN]}', "200 OK"),
        (b"[" * 100_000, "200 OK"),
        (b"{}", "400 Bad Request"),
        (b"{}", "302 Found"),
        (b"<html>", "403 Forbidden"),
        (b"{}", "502 Bad Gateway"),
    ],
)
def test_an_answer_that_cannot_be_understood_is_bank_unavailable(plaid_answering, body, status):
    with pytest.raises(BankUnavailable):
        plaid_answering(body, status=status).accounts("t")


@pytest.mark.parametrize("amount", ["true", '"1.00"', "null", "1e999999", "1e-999999"])
def test_an_amount_that_is_no_amount_is_bank_unavailable(plaid_answering, amount):
    transaction = f'{{"transaction_id": "t", "account_id": "a", "date": "2026-03-18", "name": "n", "amount": {amount}}}'
    body = f'{{"added": [{transaction}], "modified": [], "removed": [], "next_cursor": "c", "has_more": false}}'

    with pytest.raises(BankUnavailable):
        plaid_answering(body.encode()).sync_page("t", None)


def test_sync_page_normalises_a_transaction(bank):
    item = bank.link()
    cursor = everything(bank.plaid, item.access_token)[-1].next_cursor
    account = account_named(bank, item, "Wattle Everyday")
    transaction_id = bank.store.add_transaction(
        account.account_id,
        Decimal("12.30"),
        TODAY,
        "GREENLEAF 0042",
        merchant="Greenleaf Grocers",
        category=("FOOD_AND_DRINK", "FOOD_AND_DRINK_GROCERIES"),
    )

    page = bank.plaid.sync_page(item.access_token, cursor)

    assert page == SyncPage(
        added=(
            BankTransaction(
                external_id=transaction_id,
                account_external_id=account.account_id,
                booked_on=TODAY,
                authorised_on=TODAY,
                amount=Decimal("-12.30"),
                currency="AUD",
                description="GREENLEAF 0042",
                merchant="Greenleaf Grocers",
                pending=False,
                replaces_pending_id=None,
                category="FOOD_AND_DRINK",
            ),
        ),
        modified=(),
        removed=(),
        next_cursor=page.next_cursor,
        has_more=False,
    )
    assert str(page.added[0].amount) == "-12.30"


# Money that goes out is positive for Plaid and negative for us, whatever the account; a debt then owes more.
@pytest.mark.parametrize(
    ("account", "plaid_amount", "amount", "balance_change"),
    [
        ("Wattle Everyday", "25.00", "-25.00", "-25.00"),
        ("Wattle Everyday", "-25.00", "25.00", "25.00"),
        ("Low Rate Platinum", "25.00", "-25.00", "-25.00"),
        ("Low Rate Platinum", "-25.00", "25.00", "25.00"),
        ("Wattle Access", "25.00", "-25.00", "-25.00"),
        ("Wattle Access", "-25.00", "25.00", "25.00"),
    ],
)
def test_amount_and_balance_move_the_same_way(bank, account, plaid_amount, amount, balance_change):
    item = bank.link()
    cursor = everything(bank.plaid, item.access_token)[-1].next_cursor
    before = {found.name: found.balance for found in bank.plaid.accounts(item.access_token)}

    account_id = account_named(bank, item, account).account_id
    bank.store.add_transaction(account_id, Decimal(plaid_amount), TODAY, "Anything")

    [added] = bank.plaid.sync_page(item.access_token, cursor).added
    after = {found.name: found.balance for found in bank.plaid.accounts(item.access_token)}
    assert added.amount == Decimal(amount)
    assert after == before | {account: before[account] + Decimal(balance_change)}


def test_sync_pages_to_the_end_give_each_transaction_once(bank):
    item = bank.link(history_days=60)
    stored = {
        found.transaction_id
        for account in bank.store.accounts(item.item_id)
        for found in bank.store.transactions(account.account_id)
    }

    pages = everything(bank.plaid, item.access_token, count=7)

    added = [found.external_id for page in pages for found in page.added]
    assert len(pages) == -(-len(stored) // 7)
    assert [len(page.added) for page in pages[:-1]] == [7] * (len(pages) - 1)
    assert len(added) == len(stored)
    assert set(added) == stored
    assert everything(bank.plaid, item.access_token, pages[-1].next_cursor) == [
        SyncPage((), (), (), pages[-1].next_cursor, False)
    ]


def test_a_pending_transaction_is_replaced_by_the_posted_one(bank):
    item = bank.link()
    card = account_named(bank, item, "Low Rate Platinum")
    pending_id = bank.store.add_transaction(card.account_id, Decimal("40.00"), TODAY, "HOTEL", pending=True)
    pages = everything(bank.plaid, item.access_token)
    [pending] = [found for page in pages for found in page.added if found.external_id == pending_id]

    posted_id = bank.store.post_pending(pending_id, TODAY + DAY, amount=Decimal("43.50"))
    page = bank.plaid.sync_page(item.access_token, pages[-1].next_cursor)

    assert (pending.pending, pending.amount) == (True, Decimal("-40.00"))
    assert page.removed == (pending_id,)
    [posted] = page.added
    assert (posted.external_id, posted.replaces_pending_id, posted.pending) == (posted_id, pending_id, False)
    assert (posted.booked_on, posted.authorised_on, posted.amount) == (TODAY + DAY, TODAY, Decimal("-43.50"))


def test_modified_and_removed_are_relative_to_the_cursor(bank):
    item = bank.link()
    account = account_named(bank, item, "Wattle Everyday")
    kept = bank.store.add_transaction(account.account_id, Decimal("1.00"), TODAY, "Kept")
    dropped = bank.store.add_transaction(account.account_id, Decimal("2.00"), TODAY, "Dropped")
    cursor = everything(bank.plaid, item.access_token)[-1].next_cursor

    bank.store.modify_transaction(kept, amount=Decimal("1.50"), description="Changed")
    bank.store.remove_transaction(dropped)
    unseen = bank.store.add_transaction(account.account_id, Decimal("3.00"), TODAY, "Came and went")
    bank.store.remove_transaction(unseen)
    page = bank.plaid.sync_page(item.access_token, cursor)

    assert page.added == ()
    [modified] = page.modified
    assert (modified.external_id, modified.amount, modified.description) == (kept, Decimal("-1.50"), "Changed")
    assert page.removed == (dropped,)
    from_the_start = [found for page in everything(bank.plaid, item.access_token) for found in page.added]
    assert [found.amount for found in from_the_start if found.external_id == kept] == [Decimal("-1.50")]
    assert [found for found in from_the_start if found.external_id in {dropped, unseen}] == []


def test_a_change_between_two_pages_restarts_the_sync(bank):
    item = bank.link()
    first = bank.plaid.sync_page(item.access_token, None, 5)
    account = account_named(bank, item, "Wattle Everyday")
    late = bank.store.add_transaction(account.account_id, Decimal("1.00"), TODAY, "Late")

    with pytest.raises(SyncRestart):
        bank.plaid.sync_page(item.access_token, first.next_cursor, 5)

    added = [found.external_id for page in everything(bank.plaid, item.access_token, None, 5) for found in page.added]
    assert late in added
    assert len(added) == len(set(added))


def test_another_items_change_does_not_restart_the_sync(bank):
    item, other = bank.link(), bank.link(SEQUOIA.institution_id)
    first = bank.plaid.sync_page(item.access_token, None, 5)
    other_account = account_named(bank, other, "Sequoia Checking")
    bank.store.add_transaction(other_account.account_id, Decimal("1.00"), TODAY, "Elsewhere")

    second = bank.plaid.sync_page(item.access_token, first.next_cursor, 5)

    assert len(second.added) == 5


def test_a_cursor_of_another_item_is_refused(bank):
    item, other = bank.link(), bank.link()
    cursor = bank.plaid.sync_page(other.access_token, None, 5).next_cursor

    with pytest.raises(BankRefused, match="INVALID_FIELD"):
        bank.plaid.sync_page(item.access_token, cursor)
    with pytest.raises(BankRefused, match="INVALID_FIELD"):
        bank.plaid.sync_page(item.access_token, "no cursor")


def test_refresh_brings_the_days_since(bank):
    item = bank.link()
    cursor = everything(bank.plaid, item.access_token)[-1].next_cursor
    bank.clock.today += dt.timedelta(days=10)

    bank.plaid.refresh(item.access_token)
    page = bank.plaid.sync_page(item.access_token, cursor)

    assert len(page.added) > 0
    assert {found.booked_on for found in page.added} <= {TODAY + DAY * number for number in range(11)}


def test_a_reset_login_revokes_consent_until_the_person_renews_it(bank):
    item = bank.link()
    bank.sandbox("/sandbox/item/reset_login", access_token=item.access_token)

    for call in (bank.plaid.accounts, bank.plaid.refresh, lambda token: bank.plaid.sync_page(token, None)):
        with pytest.raises(ConsentRevoked):
            call(item.access_token)
    assert bank.plaid.institution_of(item.access_token) == Institution("ins_900001", "Wattle Bank", "990000010")

    bank.store.set_login_required(item.item_id, False)
    assert len(bank.plaid.accounts(item.access_token)) == 4


def test_a_removed_item_is_gone_and_may_be_removed_again(bank):
    item = bank.link()

    bank.plaid.remove_item(item.access_token)
    bank.plaid.remove_item(item.access_token)

    with pytest.raises(ItemGone):
        bank.plaid.accounts(item.access_token)
    assert bank.store.items() == []


def test_a_made_up_access_token_is_item_gone(bank):
    with pytest.raises(ItemGone):
        bank.plaid.accounts("access-sandbox-invented")


@pytest.mark.parametrize(
    ("error_code", "error"),
    [
        ("ITEM_LOGIN_REQUIRED", ConsentRevoked),
        ("USER_PERMISSION_REVOKED", ConsentRevoked),
        ("ACCESS_NOT_GRANTED", ConsentRevoked),
        ("INVALID_PUBLIC_TOKEN", PublicTokenInvalid),
        ("ITEM_NOT_FOUND", ItemGone),
        ("INVALID_ACCESS_TOKEN", ItemGone),
        ("TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION", SyncRestart),
        ("PRODUCT_NOT_READY", BankUnavailable),
        ("INSTITUTION_DOWN", BankUnavailable),
        ("RATE_LIMIT", BankUnavailable),
        ("INTERNAL_SERVER_ERROR", BankUnavailable),
        ("INVALID_FIELD", BankRefused),
    ],
)
def test_each_error_of_plaid_has_its_name_once(bank, error_code, error):
    item = bank.link()
    bank.store.fail_next("/accounts/get", error_code)

    with pytest.raises(DomainError) as raised:
        bank.plaid.accounts(item.access_token)

    assert type(raised.value) is error
    assert item.access_token not in str(raised.value)
    assert len(bank.plaid.accounts(item.access_token)) == 4


@pytest.mark.parametrize("error", [SyncRestart, BankUnavailable])
def test_what_may_work_later_is_transient(error):
    assert issubclass(error, TransientError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConsentRevoked, "consent_revoked"),
        (PublicTokenInvalid, "public_token_invalid"),
        (ItemGone, "item_gone"),
        (BankRefused, "bank_refused"),
    ],
)
def test_what_stays_refused_is_a_conflict(error, code):
    assert (error.status, error.code, issubclass(error, TransientError)) == (409, code, False)


def test_wrong_credentials_are_refused(bank):
    with pytest.raises(BankRefused, match="INVALID_API_KEYS") as raised:
        Plaid(bank.url, CLIENT_ID, "wrong-secret").list_institutions()

    assert "wrong-secret" not in str(raised.value)


def test_an_unreachable_bank_is_bank_unavailable(bank):
    with Server(answering(), 0) as server:
        closed = server.url

    with pytest.raises(BankUnavailable):
        Plaid(closed, CLIENT_ID, SECRET).list_institutions()

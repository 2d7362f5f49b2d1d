"""Linking banks, importing from them and letting them go, against the running simulator."""

import datetime as dt
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest
from django.db import connections
from psycopg import sql

from fatfire.kit import http
from services.core import operations as core
from services.core.models import Asset, Portfolio, Transaction, Valuation
from services.integration import operations
from services.integration.models import LeftOut, Link, LinkedAccount, LinkState
from services.integration.providers.plaid import ConsentRevoked, PublicTokenInvalid
from services.integration.sandbox.answers import exact_json
from services.integration.sandbox.institutions import WATTLE
from services.integration.sandbox.server import Server
from services.jobs.models import Job, JobStep, State
from services.telemetry.models import Invocation
from tenants.encryption import decrypt
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.contracts.bank import NOW, TODAY
from tests.slices.linked import (
    account_of,
    balances_kept_of,
    balances_told_by,
    connected_bank,
    kept_of,
    link_bank,
    public_token,
    request_sync,
    start,
    told_by,
)
from workers.runner import advance

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
SYNC, REVALUE, REMOVE = "integration.sync_link", "core.revalue_portfolio", "integration.remove_link"


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        yield running


@pytest.fixture
def linked(bank, run_jobs):
    """A link whose first import is done."""
    made = link_bank(bank)
    run_jobs(now=lambda: NOW)
    return made


@pytest.fixture
def sync(run_jobs):
    """Import once more, and return the import's job."""

    def run(linked, at=NOW):
        job_id = request_sync(linked, at=at)
        run_jobs(now=lambda: at)
        with tenant(linked.tenant_id):
            return Job.objects.get(id=job_id)

    return run


def link_of(linked):
    with tenant(linked.tenant_id):
        return Link.objects.get(id=linked.link_id)


def everything(linked):
    """Return all that an import writes, but for when."""
    with tenant(linked.tenant_id):
        return [
            sorted(
                model.objects.values_list(*[f.attname for f in model._meta.fields if f.attname not in ignored]), key=str
            )
            for model, ignored in [
                (Asset, ()),
                (Transaction, ()),
                (Valuation, ()),
                (LinkedAccount, ()),
                (Link, ("synced_at",)),
            ]
        ]


def test_start_link_keeps_a_link_that_waits(bank):
    tenant_id, portfolio_id, started = start()

    with tenant(tenant_id):
        link = Link.objects.get()
        assert (link.id, link.portfolio_id, link.state, link.access_token) == (
            started.link_id,
            portfolio_id,
            LinkState.PENDING,
            None,
        )
        assert decrypt(bytes(link.link_token), model=Link, row_id=link.id, column="link_token") == started.token.token
        assert AuditEvent.objects.filter(action="start", subject="link").count() == 1
        assert not Job.objects.exists()


def test_start_link_into_another_tenants_portfolio_is_refused_before_the_bank_is_asked(bank):
    tenant_id, _, _ = start()
    _, foreign, _ = start()
    with tenant(tenant_id):
        links = Link.objects.count()

    with pytest.raises(Portfolio.DoesNotExist):
        operations.start_link(tenant_id=tenant_id, portfolio_id=foreign, user_id=tenant_id, at=NOW)

    with tenant(tenant_id):
        assert Link.objects.count() == links


def test_unset_provider_is_a_named_error(bank, settings):
    tenant_id, portfolio_id, _ = start()
    settings.PLAID_URL = ""

    with pytest.raises(operations.BankNotConfigured):
        operations.start_link(tenant_id=tenant_id, portfolio_id=portfolio_id, user_id=tenant_id, at=NOW)


def test_request_sync_before_the_person_signed_in_is_refused(bank):
    tenant_id, _, started = start()

    with pytest.raises(operations.LinkNotFinished), tenant(tenant_id):
        operations.request_sync(link_id=started.link_id, at=NOW)


def test_hosted_link_is_completed_once_the_person_has_approved(bank):
    tenant_id, _, started = start()
    with pytest.raises(operations.LinkNotFinished):
        operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, at=NOW)
    with httpx.Client(trust_env=False) as browser:
        browser.get(started.token.hosted_url)
        with pytest.raises(operations.LinkNotFinished):
            operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, at=NOW)
        approval = {"institution_id": WATTLE.institution_id, "answer": "approve"}
        browser.post(started.token.hosted_url, data=approval)

    completed = operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, at=NOW)

    assert (completed.link.state, completed.link.link_token) == (LinkState.ACTIVE, None)
    assert (completed.job.kind, completed.job.subject_id) == (SYNC, started.link_id)


def test_completing_twice_imports_once_more(bank, run_jobs):
    tenant_id, _, started = start()
    token = public_token(bank)
    first = operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
    before_the_import = operations.complete_link(
        tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW
    )
    run_jobs(now=lambda: NOW)

    second = operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)

    assert before_the_import.job.id == first.job.id
    assert second.job.id != first.job.id
    assert second.link.item_id == first.link.item_id
    with tenant(tenant_id):
        assert AuditEvent.objects.filter(action="complete").count() == 1
        assert Job.objects.filter(kind=SYNC).count() == 2


def test_completing_from_two_places_at_once_makes_one_link(bank):
    tenant_id, _, started = start()
    token = public_token(bank)
    barrier = threading.Barrier(2)

    def complete(_):
        barrier.wait()
        try:
            return operations.complete_link(
                tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW
            ).job.id
        except PublicTokenInvalid:  # the other had used it and was not done yet
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(complete, range(2))) - {None}

    with tenant(tenant_id):
        assert found == set(Job.objects.values_list("id", flat=True))
        assert len(found) == 1
        assert Link.objects.get().state == LinkState.ACTIVE
        assert AuditEvent.objects.filter(action="complete").count() == 1


def test_second_sign_in_for_a_link_in_use_is_ended_at_the_bank(bank):
    """Two visits to the bank for one link: the second item would stay open there, and cost, with nobody knowing it."""
    tenant_id, _, started = start()
    barrier = threading.Barrier(2)
    tokens = [public_token(bank), public_token(bank)]

    def complete(token):
        barrier.wait()
        try:
            return operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        completed = list(pool.map(complete, tokens))

    assert {each.link.id for each in completed} == {started.link_id}
    with tenant(tenant_id):
        kept = Link.objects.get().item_id
    used = [each.item_id for each in bank.store.items() if each.access_token is not None]
    assert used == [kept]


def test_spent_token_of_a_link_that_waits_is_refused(bank):
    spent = public_token(bank)
    bank.plaid.exchange_public_token(spent)
    tenant_id, _, started = start()

    with pytest.raises(PublicTokenInvalid):
        operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=spent, at=NOW)

    with tenant(tenant_id):
        assert Link.objects.get().state == LinkState.PENDING
        assert not Job.objects.exists()


def test_token_is_kept_although_the_bank_fails_right_after(bank, run_jobs):
    """The bank tells the token once; whatever fails next must not lose it."""
    tenant_id, _, started = start()
    token = public_token(bank)
    bank.store.fail_next("/item/get", "INTERNAL_SERVER_ERROR")

    operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
    run_jobs(now=lambda: NOW)
    run_jobs(now=lambda: NOW + 5 * MINUTE)

    with tenant(tenant_id):
        link = Link.objects.get()
        assert (link.state, link.institution_id, link.institution) == (LinkState.ACTIVE, "ins_900001", "Wattle Bank")
        assert Job.objects.get(kind=SYNC).state == State.SUCCEEDED


def test_first_import_brings_everything_exactly(bank, linked):
    assert kept_of(linked) == told_by(bank, linked)
    assert balances_kept_of(linked, TODAY) == balances_told_by(bank, linked)
    with tenant(linked.tenant_id):
        assets = set(Asset.objects.values_list("name", "kind", "side", "currency", "institution", "source"))
        masks = set(LinkedAccount.objects.values_list("asset__name", "mask"))
        sync = Job.objects.get(kind=SYNC)
        output = JobStep.objects.get(job=sync).output
        history = Job.objects.get(kind=REVALUE).state
    assert assets == {
        ("Wattle Everyday", "bank_account", "asset", "AUD", "Wattle Bank", "plaid"),
        ("Wattle Saver", "bank_account", "asset", "AUD", "Wattle Bank", "plaid"),
        ("Low Rate Platinum", "credit_card", "debt", "AUD", "Wattle Bank", "plaid"),
        ("Wattle Access", "loan", "debt", "AUD", "Wattle Bank", "plaid"),
    }
    assert masks == {
        ("Wattle Everyday", "0132"),
        ("Wattle Saver", "0458"),
        ("Low Rate Platinum", "7719"),
        ("Wattle Access", "2602"),
    }
    assert (sync.state, history) == (State.SUCCEEDED, State.SUCCEEDED)
    assert output == {"accounts": 4, "changes": len(kept_of(linked)), "skipped": 0}
    assert link_of(linked).synced_at == NOW


def test_import_of_many_pages_brings_everything_exactly(bank, run_jobs):
    linked = link_bank(bank, history_days=730)
    run_jobs(now=lambda: NOW)

    assert len(told_by(bank, linked)) > 1000  # three pages of 500
    assert kept_of(linked) == told_by(bank, linked)


def test_second_import_changes_nothing(bank, linked, sync):
    before = everything(linked)

    job = sync(linked)

    assert (job.state, job.progress_done, job.progress_total) == (State.SUCCEEDED, 0, 0)
    assert everything(linked) == before
    with tenant(linked.tenant_id):
        assert Job.objects.filter(kind=REVALUE).count() == 1  # no second: nothing changed


def test_import_again_from_the_beginning_changes_nothing(bank, linked, sync):
    """As when a bank forgets its cursor: every transaction is told again."""
    before = everything(linked)
    with tenant(linked.tenant_id):
        Link.objects.update(cursor="")

    job = sync(linked)

    assert job.progress_done == len(told_by(bank, linked))
    assert everything(linked) == before


def test_what_the_bank_adds_changes_and_takes_back_is_followed(bank, linked, sync):
    account = account_of(bank, linked, "everyday")
    transactions = [each for each in bank.store.transactions(account) if not each.pending]
    added = bank.store.add_transaction(account, Decimal("42.10"), TODAY, "Books")
    bank.store.modify_transaction(transactions[0].transaction_id, amount=Decimal("7.77"), description="Corrected")
    bank.store.remove_transaction(transactions[1].transaction_id)

    sync(linked)

    assert kept_of(linked) == told_by(bank, linked)
    assert balances_kept_of(linked, TODAY) == balances_told_by(bank, linked)
    kept = {row[0]: row for row in kept_of(linked)}
    assert kept[added] == (added, account, TODAY, Decimal("-42.10"), "Books", False)
    assert kept[transactions[0].transaction_id][3:5] == (Decimal("-7.77"), "Corrected")
    assert transactions[1].transaction_id not in kept


def test_pending_transaction_that_posts_keeps_its_row_and_note(bank, linked, sync):
    account = account_of(bank, linked, "card")
    pending = bank.store.add_transaction(account, Decimal("30.00"), TODAY, "Dinner", pending=True)
    sync(linked)
    with tenant(linked.tenant_id):
        before = Transaction.objects.get(external_id=pending)
        core.note_transaction(transaction_id=before.id, note="With Sam")
    posted = bank.store.post_pending(pending, TODAY, amount=Decimal("33.50"))

    sync(linked)

    assert kept_of(linked) == told_by(bank, linked)
    with tenant(linked.tenant_id):
        after = Transaction.objects.get(external_id=posted)
        assert (after.id, after.note, after.amount, after.pending) == (before.id, "With Sam", Decimal("-33.50"), False)
        assert not Transaction.objects.filter(external_id=pending).exists()


def test_pending_that_posts_is_one_transaction_however_often_it_is_told(bank, linked, sync):
    account = account_of(bank, linked, "card")
    pending = bank.store.add_transaction(account, Decimal("30.00"), TODAY, "Dinner", pending=True)
    bank.store.post_pending(pending, TODAY)
    sync(linked)
    with tenant(linked.tenant_id):
        Link.objects.update(cursor="")

    sync(linked)

    assert kept_of(linked) == told_by(bank, linked)


def test_days_pass_at_the_bank(bank, linked, sync):
    bank.clock.today, bank.clock.now = TODAY + 9 * DAY, NOW + 9 * DAY

    sync(linked, at=NOW + 9 * DAY)

    assert kept_of(linked) == told_by(bank, linked)
    assert balances_kept_of(linked, TODAY + 9 * DAY) == balances_told_by(bank, linked)


def test_name_that_a_person_gave_stays(bank, linked, sync):
    with tenant(linked.tenant_id):
        asset = Asset.objects.get(name="Wattle Saver")
        core.rename_asset(asset_id=asset.id, name="Rainy days", at=NOW)

    sync(linked)

    with tenant(linked.tenant_id):
        assert Asset.objects.get(id=asset.id).name == "Rainy days"


def test_change_while_pages_are_read_starts_the_import_again(bank, run_jobs):
    linked = link_bank(bank)
    bank.store.fail_next("/transactions/sync", "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION")

    run_jobs(now=lambda: NOW)

    with tenant(linked.tenant_id):
        step = JobStep.objects.get(job__kind=SYNC)
        assert (step.state, step.retries, step.run_after) == (State.QUEUED, 1, NOW + dt.timedelta(seconds=5))
        assert step.error_code == "temporarily_unavailable"
        assert not Transaction.objects.exists()
    run_jobs(now=lambda: NOW + MINUTE)
    assert kept_of(linked) == told_by(bank, linked)


class Meddling:
    """Runs `change` at the bank before its answer to the second page, as another customer of it might."""

    def __init__(self, application, change):
        self.application, self.change, self.pages = application, change, 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/transactions/sync":
            self.pages += 1
            if self.pages == 2:
                self.change()
        return self.application(environ, start_response)


def test_transaction_taken_back_between_two_pages_leaves_nothing(bank, run_jobs, settings):
    """The first page told of it; from the cursor on, the bank then tells neither of its coming nor of its going."""
    linked = link_bank(bank, history_days=730)
    first_page = bank.plaid.sync_page(token_of(linked), None).added
    gone = next(each.external_id for each in first_page if not each.pending)
    with Server(Meddling(bank.checked, lambda: bank.store.remove_transaction(gone)), 0) as server:
        settings.PLAID_URL = server.url
        run_jobs(now=lambda: NOW)
        run_jobs(now=lambda: NOW + MINUTE)

    assert gone not in {row[0] for row in kept_of(linked)}
    assert kept_of(linked) == told_by(bank, linked)


def token_of(linked):
    with tenant(linked.tenant_id):
        sealed = bytes(Link.objects.get(id=linked.link_id).access_token)
        return decrypt(sealed, model=Link, row_id=linked.link_id, column="access_token")


@pytest.mark.parametrize("error_code", ["ITEM_LOGIN_REQUIRED", "USER_PERMISSION_REVOKED", "ACCESS_NOT_GRANTED"])
@pytest.mark.parametrize("path", ["/accounts/get", "/transactions/sync", "/transactions/refresh"])
def test_withdrawn_consent_fails_the_job_and_marks_the_link(bank, linked, sync, path, error_code):
    before = everything(linked)[:4]
    bank.store.fail_next(path, error_code)

    job = sync(linked)

    assert (job.state, job.error_code) == (State.FAILED, "consent_revoked")
    assert link_of(linked).state == LinkState.REVOKED
    assert everything(linked)[:4] == before
    with tenant(linked.tenant_id):
        assert JobStep.objects.get(job=job).attempts == 1  # never tried again by itself
    with pytest.raises(ConsentRevoked), tenant(linked.tenant_id):
        operations.request_sync(link_id=linked.link_id, at=NOW)


def test_consent_given_again_takes_the_link_back_into_use(bank, linked, sync, run_jobs):
    bank.store.set_login_required(linked.item_id, True)
    sync(linked)
    bank.store.set_login_required(linked.item_id, False)

    operations.complete_link(tenant_id=linked.tenant_id, link_id=linked.link_id, at=NOW)
    run_jobs(now=lambda: NOW)

    assert link_of(linked).state == LinkState.ACTIVE
    assert sync(linked).state == State.SUCCEEDED


def test_item_that_the_bank_forgot_needs_a_new_sign_in(bank, linked, sync):
    bank.plaid.remove_item(token_of(linked))

    job = sync(linked)

    assert (job.state, job.error_code) == (State.FAILED, "item_gone")
    assert link_of(linked).state == LinkState.REVOKED


@pytest.mark.parametrize(
    "fault",
    [
        ("/accounts/get", "INSTITUTION_DOWN"),
        ("/transactions/sync", "INTERNAL_SERVER_ERROR"),
        ("/transactions/refresh", "RATE_LIMIT"),
    ],
    ids=str,
)
def test_bank_that_is_down_is_asked_again_later(bank, linked, sync, run_jobs, fault):
    account = account_of(bank, linked, "everyday")
    bank.store.add_transaction(account, Decimal("1.00"), TODAY, "While it was down")
    bank.store.fail_next(*fault, times=2)

    job = sync(linked)
    run_jobs(now=lambda: NOW + dt.timedelta(seconds=5))
    run_jobs(now=lambda: NOW + dt.timedelta(seconds=15))

    assert kept_of(linked) == told_by(bank, linked)
    with tenant(linked.tenant_id):
        step = JobStep.objects.get(job=job)
        outcomes = list(
            Invocation.objects.filter(job_id=job.id).order_by("started_at").values_list("outcome", "error_code")
        )
    assert (step.state, step.attempts, step.error_code) == (State.SUCCEEDED, 3, "")
    assert outcomes == [("retried", "temporarily_unavailable")] * 2 + [("ok", "")]


def test_bank_without_refresh_is_imported_from_all_the_same(bank, linked, sync):
    """Having the provider ask the bank is not part of every contract with it."""
    account = account_of(bank, linked, "everyday")
    bank.store.add_transaction(account, Decimal("1.00"), TODAY, "Tea")
    bank.store.fail_next("/transactions/refresh", "INVALID_FIELD")

    assert sync(linked).state == State.SUCCEEDED
    assert kept_of(linked) == told_by(bank, linked)


class Altered:
    """The bank, but that it lists its accounts as `change` makes them: as no household of the simulator has them."""

    def __init__(self, application, change):
        self.application, self.change = application, change

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/accounts/get":
            return self.application(environ, start_response)
        started = []
        answer = json.loads(
            b"".join(self.application(environ, lambda *args: started.extend(args))), parse_float=Decimal
        )
        answer["accounts"] = [changed for each in answer["accounts"] if (changed := self.change(each)) is not None]
        content = exact_json(answer).encode()
        start_response(started[0], [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]


@pytest.fixture
def sync_from(bank, settings):
    """Import everything anew from a bank that lists its accounts as a function makes them; return the job."""

    def run(linked, change):
        with tenant(linked.tenant_id):
            Link.objects.update(cursor="")
        job_id = request_sync(linked)
        with Server(Altered(bank.checked, change), 0) as server:
            settings.PLAID_URL = server.url
            advance(job_id=job_id, tenant_id=linked.tenant_id, now=lambda: NOW)
            http.close_connections()
        settings.PLAID_URL = bank.url
        with tenant(linked.tenant_id):
            return Job.objects.get(id=job_id)

    return run


def in_points(account):
    """The card counts points instead of money."""
    if account["name"] == "Low Rate Platinum":
        account["balances"] |= {"iso_currency_code": None, "unofficial_currency_code": "POINTS"}
    return account


def without_card(account):
    return None if account["name"] == "Low Rate Platinum" else account


def test_account_without_a_currency_is_left_out_with_its_transactions(bank, run_jobs, sync_from):
    linked = link_bank(bank)

    job = sync_from(linked, in_points)

    card = account_of(bank, linked, "card")
    assert job.state == State.SUCCEEDED
    assert kept_of(linked) == [row for row in told_by(bank, linked) if row[1] != card]
    with tenant(linked.tenant_id):
        assert sorted(Asset.objects.values_list("name", flat=True)) == [
            "Wattle Access",
            "Wattle Everyday",
            "Wattle Saver",
        ]
        output = JobStep.objects.get(job=job).output
    assert (output["accounts"], output["skipped"]) == (3, 1)


def test_account_without_a_currency_is_read_once_a_person_says_it(bank, run_jobs, sync_from):
    """The bank goes on telling none; its transactions, passed over until then, are all read."""
    linked = link_bank(bank)
    sync_from(linked, in_points)
    with tenant(linked.tenant_id):
        account = LinkedAccount.objects.get(name="Low Rate Platinum")
        assert (account.left_out, account.asset_id) == (LeftOut.CURRENCY, None)

        operations.set_account_currency(account_id=account.id, currency="NZD", at=NOW)
    job = sync_from(linked, in_points)

    assert job.state == State.SUCCEEDED
    assert kept_of(linked) == told_by(bank, linked)
    assert balances_kept_of(linked, TODAY) == balances_told_by(bank, linked)
    with tenant(linked.tenant_id):
        card = Asset.objects.get(name="Low Rate Platinum")
    assert (card.currency, card.side, card.kind) == ("NZD", "debt", "credit_card")


def test_account_that_was_left_out_is_read_from_its_first_day_when_the_bank_tells_a_currency(
    bank, run_jobs, sync_from, sync
):
    linked = link_bank(bank)
    sync_from(linked, in_points)

    sync(linked)  # from its cursor on, with the currency; then once more, from the beginning

    assert kept_of(linked) == told_by(bank, linked)
    assert link_of(linked).cursor != ""


def without_digits(account):
    account["mask"] = None
    return account


def test_accounts_without_last_digits_can_not_be_told_from_others_and_count(bank, run_jobs, sync_from):
    linked = link_bank(bank)

    sync_from(linked, without_digits)

    with tenant(linked.tenant_id):
        assert set(LinkedAccount.objects.values_list("identity", flat=True)) == {None}
        assert Asset.objects.count() == 4


def with_long_names(account):
    account["name"] = account["name"] + "!" * 200
    account["mask"] = "0" * 20
    return account


def test_names_are_cut_to_what_is_kept_of_them(bank, run_jobs, sync_from):
    linked = link_bank(bank)

    assert sync_from(linked, with_long_names).state == State.SUCCEEDED

    with tenant(linked.tenant_id):
        assert Asset.objects.filter(name="Wattle Saver" + "!" * 108).count() == 1
        assert set(LinkedAccount.objects.values_list("mask", flat=True)) == {"0" * 10}


def test_account_that_loses_its_currency_keeps_what_it_had(bank, linked, sync_from):
    before = everything(linked)

    job = sync_from(linked, in_points)

    assert job.state == State.SUCCEEDED
    assert everything(linked) == before


def test_account_that_the_bank_no_longer_lists_keeps_its_transactions(bank, linked, sync_from):
    before = everything(linked)

    job = sync_from(linked, without_card)

    assert job.state == State.SUCCEEDED
    assert everything(linked) == before


def test_transaction_on_an_account_never_listed_is_tried_again(bank, run_jobs, sync_from):
    linked = link_bank(bank)

    job = sync_from(linked, without_card)

    with tenant(linked.tenant_id):
        step = JobStep.objects.get(job=job)
        assert (step.state, step.error_code) == (State.QUEUED, "account_unknown")
        assert not Asset.objects.exists()
    run_jobs(now=lambda: NOW + MINUTE)
    assert kept_of(linked) == told_by(bank, linked)


def test_removal_ends_the_consent_and_closes_the_accounts(bank, linked, run_jobs):
    before = kept_of(linked)
    with tenant(linked.tenant_id):
        job = operations.request_removal(link_id=linked.link_id, at=NOW)

    run_jobs(now=lambda: NOW)

    assert bank.store.item(linked.item_id).removed
    link = link_of(linked)
    assert (link.state, link.access_token, link.link_token, link.item_id, link.cursor) == (
        "removed",
        None,
        None,
        None,
        "",
    )
    assert kept_of(linked) == before
    with tenant(linked.tenant_id):
        assert Job.objects.get(id=job.id).state == State.SUCCEEDED
        assert set(Asset.objects.values_list("closed_on", flat=True)) == {TODAY}
    for refused in (operations.request_sync, operations.request_removal):
        with pytest.raises(operations.LinkRemoved), tenant(linked.tenant_id):
            refused(link_id=linked.link_id, at=NOW)
    with pytest.raises(operations.LinkRemoved):
        operations.complete_link(tenant_id=linked.tenant_id, link_id=linked.link_id, at=NOW)


def test_removal_of_a_link_that_waits(bank, run_jobs):
    tenant_id, _, started = start()
    with tenant(tenant_id):
        operations.request_removal(link_id=started.link_id, at=NOW)

    run_jobs(now=lambda: NOW)

    with tenant(tenant_id):
        assert Link.objects.get().state == LinkState.REMOVED


def test_removal_while_the_bank_is_down_is_done_later(bank, linked, run_jobs):
    with tenant(linked.tenant_id):
        operations.request_removal(link_id=linked.link_id, at=NOW)
    bank.store.fail_next("/item/remove", "INTERNAL_SERVER_ERROR")

    run_jobs(now=lambda: NOW)

    assert link_of(linked).state == LinkState.ACTIVE
    run_jobs(now=lambda: NOW + MINUTE)
    assert link_of(linked).state == LinkState.REMOVED


class Interrupting:
    """Runs `before_answer` once, when `path` is first asked."""

    def __init__(self, application, path, before_answer):
        self.application, self.path, self.before_answer = application, path, before_answer

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == self.path and self.before_answer:
            run, self.before_answer = self.before_answer, None
            run()
        return self.application(environ, start_response)


@pytest.mark.parametrize(
    ("path", "error_code"),
    [("/accounts/get", "item_gone"), ("/transactions/sync", "item_gone"), (None, "link_removed")],
)
def test_removal_while_an_import_runs(bank, linked, settings, path, error_code):
    """None: the removal comes after the bank's last answer, so only the link's own state can tell."""
    before = kept_of(linked)
    bank.store.add_transaction(account_of(bank, linked, "everyday"), Decimal("9.00"), TODAY, "Too late")
    sync_id = request_sync(linked)
    with tenant(linked.tenant_id):
        removal_id = operations.request_removal(link_id=linked.link_id, at=NOW).id

    def remove():
        advance(job_id=removal_id, tenant_id=linked.tenant_id, now=lambda: NOW)
        connections.close_all()

    interrupting = Interrupting(bank.checked, path, remove)
    after_the_last = path is None
    if after_the_last:
        interrupting = AfterAnswer(bank.checked, "/transactions/sync", remove)
    with Server(interrupting, 0) as server:
        settings.PLAID_URL = server.url
        advance(job_id=sync_id, tenant_id=linked.tenant_id, now=lambda: NOW)
        http.close_connections()

    assert link_of(linked).state == LinkState.REMOVED
    assert kept_of(linked) == before
    with tenant(linked.tenant_id):
        found = Job.objects.get(id=sync_id)
        assert (found.state, found.error_code) == (State.FAILED, error_code)
        assert Job.objects.get(id=removal_id).state == State.SUCCEEDED
        assert set(Asset.objects.values_list("closed_on", flat=True)) == {TODAY}


class AfterAnswer(Interrupting):
    """Runs it once the answer is made, before it is sent."""

    def __call__(self, environ, start_response):
        answer = self.application(environ, start_response)
        if environ["PATH_INFO"] == self.path and self.before_answer:
            run, self.before_answer = self.before_answer, None
            run()
        return answer


def test_link_that_comes_into_use_while_it_is_removed_is_ended_at_the_bank(bank, run_jobs, settings):
    """The removal found no token; before it noted the end, the person came back from the bank."""
    tenant_id, _, started = start()
    with tenant(tenant_id):
        removal_id = operations.request_removal(link_id=started.link_id, at=NOW).id

    def remove():
        advance(job_id=removal_id, tenant_id=tenant_id, now=lambda: NOW)
        connections.close_all()

    with Server(AfterAnswer(bank.checked, "/item/public_token/exchange", remove), 0) as server:
        token = public_token(bank)
        settings.PLAID_URL = server.url
        with pytest.raises(operations.LinkRemoved):
            operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
        http.close_connections()

    with tenant(tenant_id):
        link = Link.objects.get()
        assert (link.state, link.access_token) == (LinkState.REMOVED, None)
    assert bank.store.items() == []


def with_endless_ids(account):
    """No column holds this: an error that nobody expects, with the token in the frames that it passes."""
    account["account_id"] = "x" * 200
    return account


def test_tokens_are_nowhere_in_the_clear(bank, admin, run_jobs, sync_from, caplog):
    """Not in any column of any table, not in the log: as bytes, for a superuser whom no policy holds."""
    caplog.set_level(logging.DEBUG)
    linked = link_bank(bank)
    access_token = token_of(linked)
    run_jobs(now=lambda: NOW)
    failed = sync_from(linked, with_endless_ids)
    bank.store.fail_next("/accounts/get", "INTERNAL_SERVER_ERROR")
    bank.store.fail_next("/transactions/sync", "ITEM_LOGIN_REQUIRED")
    request_sync(linked)
    run_jobs(now=lambda: NOW)
    run_jobs(now=lambda: NOW + MINUTE)
    waiting = operations.start_link(
        tenant_id=linked.tenant_id, portfolio_id=linked.portfolio_id, user_id=linked.tenant_id, at=NOW
    )

    assert failed.error_code == "internal_error"
    assert "job_failed" in caplog.text
    assert link_of(linked).state == LinkState.REVOKED
    for secret in (access_token, waiting.token.token):
        assert tables_with(admin, secret) == []
        assert secret not in caplog.text
    assert tables_with(admin, linked.item_id) == ["integration_link"]  # the search does find what is there


def tables_with(admin, text):
    """Return the tables in which any row holds the text, as characters or as the bytes of a bytea."""
    tables = [row[0] for row in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    sought = sql.SQL("SELECT 1 FROM {} t WHERE t::text LIKE %s OR t::text LIKE %s LIMIT 1")
    patterns = (f"%{text}%", f"%{text.encode().hex()}%")
    return sorted(name for name in tables if admin.execute(sought.format(sql.Identifier(name)), patterns).fetchone())

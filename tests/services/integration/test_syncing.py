"""Importing from banks, against the running simulator."""

import datetime as dt
from decimal import Decimal

import pytest

from services.core import operations as core
from services.core.models import Asset, Transaction
from services.integration import operations
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.providers.plaid import ConsentRevoked
from services.integration.sandbox.server import Server
from services.jobs.models import Job, JobStep, State
from services.telemetry.models import Invocation
from tenants.isolation import tenant
from tests.contracts.bank import NOW, TODAY
from tests.slices.linked import (
    account_of,
    balances_kept_of,
    balances_told_by,
    everything,
    kept_of,
    link_bank,
    link_of,
    token_of,
    told_by,
)

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
SYNC, REVALUE, REMOVE = "integration.sync_link", "core.revalue_portfolio", "integration.remove_link"


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

"""Accounts as banks tell of them, however oddly, against the running simulator."""

import datetime as dt

from services.core.models import Asset
from services.integration import operations
from services.integration.models import LeftOut, LinkedAccount
from services.jobs.models import JobStep, State
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
    told_by,
)

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
SYNC, REVALUE, REMOVE = "integration.sync_link", "core.revalue_portfolio", "integration.remove_link"


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

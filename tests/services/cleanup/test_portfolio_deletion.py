"""Deleting a portfolio: hidden at once, emptied in batches, resumed where it stopped, kept while it can be."""

import contextlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from services.cleanup import operations, queries
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core import operations as core
from services.core import queries as core_queries
from services.core.models import Asset, AssetKind, Portfolio, Side, Transaction
from services.core.queries import TransactionFilter
from services.history.models import AssetDay
from services.history.operations import roll_up_due, roll_up_portfolio
from services.insurance import operations as insurance
from services.insurance import queries as insurance_queries
from services.insurance.models import Policy
from services.integration import operations as integration
from services.integration import queries as integration_queries
from services.integration.models import Link, LinkedAccount
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep
from services.receipts import operations as receipts
from services.receipts import queries as receipt_queries
from services.receipts.models import Receipt
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT, TODAY, make_portfolio, make_tenant
from tests.services.cleanup.portfolios import full_portfolio, row_counts
from tests.services.insurance.rows import policy_facts
from tests.services.receipts.rows import receipt_facts
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


@pytest.fixture
def home(database):
    return make_tenant().id


@pytest.fixture
def portfolio_id(home):
    with tenant(home):
        return full_portfolio()


def request(home, portfolio_id):
    with tenant(home):
        return operations.request_portfolio_deletion(portfolio_id=portfolio_id, at=AT)


def run(home, job, *, steps=100):
    """Run at most so many steps of the job; return how many ran."""
    return sum(advance(job_id=job.id, tenant_id=home, now=lambda: AT) for _ in range(steps))


def state_of(home, job):
    with tenant(home):
        return Job.objects.get(id=job.id).state


def steps_of(home, job):
    with tenant(home):
        return {step.name: step for step in JobStep.objects.filter(job=job).order_by("position")}


def states_of(home, job):
    return {name: step.state for name, step in steps_of(home, job).items()}


def break_once(monkeypatch, module, name):
    """Have the function fail the next time it is called, as by a fault of ours."""
    original = getattr(module, name)

    def broken(**_):
        monkeypatch.setattr(module, name, original)
        raise ZeroDivisionError

    monkeypatch.setattr(module, name, broken)


def test_nothing_of_the_portfolio_is_left_and_of_another_everything(home, portfolio_id):
    with tenant(home):
        filled = row_counts()
        other = full_portfolio(name="Other")
        both = row_counts()
    assert 0 not in filled.values(), "a model hangs on portfolios of which full_portfolio() makes no row"

    job = request(home, portfolio_id)
    assert run(home, job) == 6

    assert state_of(home, job) == "succeeded"
    with tenant(home):
        assert row_counts() == {name: both[name] - filled[name] for name in both}
        assert list(Portfolio.objects.values_list("id", flat=True)) == [other]
        trail = AuditEvent.objects.filter(subject_id=portfolio_id).order_by("id").values_list("action", "details")
        assert sorted(action for action, _ in trail) == ["create", "delete", "deleted"]


def test_each_step_tells_what_it_was_given_and_what_it_did(home, portfolio_id):
    job = request(home, portfolio_id)
    run(home, job)

    steps = steps_of(home, job)
    assert [step.input for step in steps.values()] == [
        {"portfolio": "Family", "links": 0},
        {"portfolio": "Family", "assets": 2, "transactions": 2, "policies": 1, "receipts": 1},
        *([{"portfolio": "Family"}] * 2),
        {"portfolio": "Family", "videos": 1},
        {"portfolio": "Family"},
    ]
    assert [step.output for step in steps.values()] == [
        {"links": 0},
        {"receipts": 1, "policies": 1, "linked_accounts": 2, "links": 1, "transactions": 2, "values": 4},
        {"asset_days": 6, "assets": 2},
        {"portfolio_days": 3, "rollup_states": 1},
        {"videos": 1, "files": 0},
        {"portfolios": 1},
    ]
    assert steps["delete_asset_history"].started_at == steps["delete_portfolio_history"].started_at == AT


def test_it_is_hidden_at_once_with_all_that_is_in_it(home, portfolio_id):
    with tenant(home):
        asset = Asset.objects.get(name="Everyday")
        account = LinkedAccount.objects.get(asset=None)
        link, policy, receipt = Link.objects.get(), Policy.objects.get(), Receipt.objects.get()
    request(home, portfolio_id)

    with tenant(home):
        assert not core_queries.list_portfolios().exists()
        assert not core_queries.list_assets().exists()
        assert not core_queries.list_transactions(wanted=TransactionFilter()).exists()
        assert not insurance_queries.list_policies().exists()
        assert not receipt_queries.list_receipts().exists()
        assert not integration_queries.list_links().exists()
        assert not integration_queries.list_linked_accounts(portfolio_id=portfolio_id).exists()
        for found, error in (
            (lambda: core_queries.get_portfolio(portfolio_id=portfolio_id), Portfolio),
            (lambda: core_queries.get_asset(asset_id=asset.id), Asset),
            (lambda: core_queries.list_values(asset_id=asset.id), Asset),
            (lambda: insurance_queries.get_policy(policy_id=policy.id), Policy),
            (lambda: receipt_queries.get_receipt(receipt_id=receipt.id), Receipt),
            (lambda: integration_queries.get_link(link_id=link.id), Link),
            (lambda: integration_queries.get_linked_account(account_id=account.id), LinkedAccount),
        ):
            with pytest.raises(error.DoesNotExist):
                found()
        assert make_portfolio(name="family").name == "family"  # the name is free


_BEING = core.PortfolioBeingDeleted
WRITES = {  # what is tried -> (the refusal, how)
    "update it": (
        _BEING,
        lambda at: core.update_portfolio(portfolio_id=at["portfolio"].id, name="N", at=AT),
    ),
    "add an asset": (
        _BEING,
        lambda at: core.create_asset(
            portfolio_id=at["portfolio"].id, name="Car", kind=AssetKind.VEHICLE, side=Side.ASSET, currency="AUD", at=AT
        ),
    ),
    "add a policy": (_BEING, lambda at: insurance.create_policy(facts=policy_facts(at["portfolio"]), at=AT)),
    "add a receipt": (_BEING, lambda at: receipts.create_receipt(facts=receipt_facts(at["portfolio"]), at=AT)),
    "rename an asset": (Asset.DoesNotExist, lambda at: core.rename_asset(asset_id=at["asset"].id, name="N", at=AT)),
    "close an asset": (Asset.DoesNotExist, lambda at: core.close_asset(asset_id=at["asset"].id, on=TODAY, at=AT)),
    "value an asset": (
        Asset.DoesNotExist,
        lambda at: core.set_value(asset_id=at["asset"].id, on=TODAY, value=Decimal(1), at=AT),
    ),
    "note a transaction": (
        Transaction.DoesNotExist,
        lambda at: core.note_transaction(transaction_id=at["transaction"].id, note="Hello"),
    ),
    "delete a policy": (Policy.DoesNotExist, lambda at: insurance.delete_policy(policy_id=at["policy"].id, at=AT)),
    "delete a receipt": (Receipt.DoesNotExist, lambda at: receipts.delete_receipt(receipt_id=at["receipt"].id, at=AT)),
    "read from a bank": (Link.DoesNotExist, lambda at: integration.request_sync(link_id=at["link"].id, at=AT)),
    "renew a bank": (
        Link.DoesNotExist,
        lambda at: integration.start_renewal(
            tenant_id=at["portfolio"].tenant_id, link_id=at["link"].id, user_id=uuid.uuid4(), at=AT
        ),
    ),
    "count a bank's twins": (Link.DoesNotExist, lambda at: integration.count_twins(link_id=at["link"].id, at=AT)),
    "count an account left out": (
        LinkedAccount.DoesNotExist,
        lambda at: integration.set_account_currency(account_id=at["left out"].id, currency="AUD", at=AT),
    ),
    "reckon an asset in another currency": (
        Asset.DoesNotExist,
        lambda at: core.change_currency(asset_id=at["asset"].id, currency="USD", at=AT),
    ),
    "open an asset again": (Asset.DoesNotExist, lambda at: core.reopen_asset(asset_id=at["asset"].id, at=AT)),
    "remove a bank": (Link.DoesNotExist, lambda at: integration.request_removal(link_id=at["link"].id, at=AT)),
}


OPEN_THEIR_OWN = {"renew a bank"}
"""What opens blocks of its own, since it asks others."""


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_written_into_it(home, portfolio_id, name):
    refusal, write = WRITES[name]
    with tenant(home):
        rows = {
            "portfolio": Portfolio.objects.get(),
            "asset": Asset.objects.get(name="House"),
            "transaction": Transaction.objects.first(),
            "policy": Policy.objects.get(),
            "receipt": Receipt.objects.get(),
            "link": Link.objects.get(),
            "left out": LinkedAccount.objects.get(asset=None),
        }
    request(home, portfolio_id)
    with tenant(home):
        before = row_counts()

    with pytest.raises(refusal), contextlib.nullcontext() if name in OPEN_THEIR_OWN else tenant(home):
        write(rows)

    with tenant(home):
        assert row_counts() == before


def test_its_history_is_no_longer_worked_out(home, portfolio_id):
    with tenant(home):
        Portfolio.objects.update(revalue_from=TODAY)
    request(home, portfolio_id)

    with tenant(home):
        assert roll_up_portfolio(portfolio_id=portfolio_id, at=AT).portfolios == 0

    class Silent:
        def report(self, *_, **__):
            pass

    assert roll_up_due(at=AT, progress=Silent()).portfolios == 0


def test_rows_go_in_batches_each_a_transaction_of_its_own(home, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 4)
    with tenant(home):
        portfolio_id = full_portfolio(days=11)  # 22 days of assets
    job = request(home, portfolio_id)
    run(home, job, steps=2)
    left, delete = [], operations.history.delete_asset_days

    def watched(*, portfolio_id, limit):
        left.append(AssetDay.objects.count())
        assert limit == 4
        with CaptureQueriesContext(connections["default"]) as captured:
            count = delete(portfolio_id=portfolio_id, limit=limit)
        assert (count <= 4, len(captured) <= 2) == (True, True)
        return count

    monkeypatch.setattr(operations.history, "delete_asset_days", watched)
    run(home, job)

    assert left == [22, 18, 14, 10, 6, 2]
    assert state_of(home, job) == "succeeded"
    assert steps_of(home, job)["delete_asset_history"].output == {"asset_days": 22, "assets": 2}


def test_failed_step_is_caught_and_tried_again_from_there(home, portfolio_id, monkeypatch):
    job = request(home, portfolio_id)
    break_once(monkeypatch, operations.core, "delete_values")  # after the transactions went
    run(home, job)

    assert state_of(home, job) == "failed"
    assert list(states_of(home, job).values()) == ["succeeded", "failed", *["blocked"] * 4]
    failed = steps_of(home, job)["delete_assets"]
    assert (failed.error_code, failed.output["transactions"]) == ("internal_error", 2)
    with tenant(home):
        assert not Transaction.objects.exists()

    assert request(home, portfolio_id).id == job.id  # asked again, it goes on
    assert list(states_of(home, job).values()) == ["succeeded", "queued", *["blocked"] * 4]
    run(home, job)

    assert state_of(home, job) == "succeeded"
    steps = steps_of(home, job)
    assert steps["delete_assets"].output["transactions"] == 2  # those that went before the failure count
    assert [step.attempts for step in steps.values()] == [1, 2, 1, 1, 1, 1]


def test_failed_branch_stops_the_other_and_both_are_resumed(home, portfolio_id, monkeypatch):
    job = request(home, portfolio_id)
    run(home, job, steps=2)
    break_once(monkeypatch, operations.history, "delete_asset_days")
    run(home, job)
    assert list(states_of(home, job).values()) == [
        "succeeded",
        "succeeded",
        "failed",
        "cancelled",
        "cancelled",
        "blocked",
    ]

    with tenant(home):
        jobs.retry_job(job_id=job.id, at=AT)
    assert run(home, job) == 4

    assert state_of(home, job) == "succeeded"


def test_cancelled_it_stops_at_the_next_batch_and_can_be_resumed(home, portfolio_id, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 1)
    job = request(home, portfolio_id)
    run(home, job, steps=1)
    delete = operations.core.delete_transactions

    def cancel():
        try:
            with tenant(home):
                jobs.cancel_job(job_id=job.id, at=AT)
        finally:
            connections.close_all()

    def cancelled_meanwhile(**options):
        count = delete(**options)
        if Transaction.objects.count() == 0:  # in the second batch
            with ThreadPoolExecutor(1) as pool:
                pool.submit(cancel).result()
        return count

    monkeypatch.setattr(operations.core, "delete_transactions", cancelled_meanwhile)
    run(home, job)

    assert state_of(home, job) == "cancelled"
    assert list(states_of(home, job).values()) == ["succeeded", *["cancelled"] * 5]
    assert steps_of(home, job)["delete_assets"].output["transactions"] == 1
    with tenant(home):
        assert Transaction.objects.count() == 1  # the batch under way was undone
        assert not queries.may_restore(job=job)

    monkeypatch.setattr(operations.core, "delete_transactions", delete)
    with tenant(home):
        jobs.retry_job(job_id=job.id, at=AT)
    run(home, job)
    assert state_of(home, job) == "succeeded"
    assert steps_of(home, job)["delete_assets"].output["transactions"] == 2


@pytest.mark.parametrize("failed_before", [False, True], ids=["goes on", "failed and is tried again"])
def test_job_from_before_there_were_videos_ends_well(home, portfolio_id, monkeypatch, failed_before):
    job = request(home, portfolio_id)
    with tenant(home):
        JobStep.objects.filter(job=job, name="delete_videos").delete()  # which that release knew nothing of
    if failed_before:
        break_once(monkeypatch, core, "delete_portfolio")  # as it did there, where videos kept the row
        run(home, job)
        assert state_of(home, job) == "failed"
        request(home, portfolio_id)
    run(home, job)

    assert state_of(home, job) == "succeeded"
    with tenant(home):
        assert set(row_counts().values()) == {0}
    assert steps_of(home, job)["delete_portfolio"].output == {"portfolios": 1}


def test_request_is_repeatable(home, portfolio_id):
    job = request(home, portfolio_id)

    assert request(home, portfolio_id).id == job.id
    run(home, job, steps=1)
    again = request(home, portfolio_id)
    assert (again.id, again.run_again) == (job.id, False)
    run(home, job)
    with pytest.raises(Portfolio.DoesNotExist):
        request(home, portfolio_id)
    with tenant(home):
        assert Job.objects.filter(kind=DELETE_PORTFOLIO.name).count() == 1


def test_deletion_whose_job_is_forgotten_is_asked_for_anew(home, portfolio_id):
    job = request(home, portfolio_id)
    with tenant(home):
        jobs.cancel_job(job_id=job.id, at=AT)
        Job.objects.filter(id=job.id).delete()

    anew = request(home, portfolio_id)

    assert anew.id != job.id
    run(home, anew)
    assert state_of(home, anew) == "succeeded"


def test_kept_after_all_before_anything_is_deleted(home, portfolio_id):
    with tenant(home):
        before = row_counts()
    job = request(home, portfolio_id)
    run(home, job, steps=1)  # the links
    with tenant(home):
        assert queries.may_restore(job=job)
        operations.restore_portfolio(portfolio_id=portfolio_id, at=AT)

    assert (run(home, job), state_of(home, job)) == (0, "cancelled")
    with tenant(home):
        assert row_counts() == before
        assert core_queries.get_portfolio(portfolio_id=portfolio_id).deleting_since is None
        assert not queries.may_restore(job=job)
        with pytest.raises(core.PortfolioNotBeingDeleted):
            operations.restore_portfolio(portfolio_id=portfolio_id, at=AT)


def test_old_job_can_not_delete_what_is_kept(home, portfolio_id):
    with tenant(home):
        before = row_counts()
    job = request(home, portfolio_id)
    with tenant(home):
        operations.restore_portfolio(portfolio_id=portfolio_id, at=AT)
        jobs.retry_job(job_id=job.id, at=AT)

    run(home, job)

    assert state_of(home, job) == "failed"
    assert steps_of(home, job)["remove_links"].error_code == "portfolio_not_being_deleted"
    with tenant(home):
        assert row_counts() == before
    anew = request(home, portfolio_id)
    assert anew.id != job.id
    run(home, anew)
    assert state_of(home, anew) == "succeeded"


def test_too_late_to_keep_it(home, portfolio_id):
    job = request(home, portfolio_id)
    run(home, job, steps=2)

    with pytest.raises(operations.DeletionBegun), tenant(home):
        operations.restore_portfolio(portfolio_id=portfolio_id, at=AT)

    with tenant(home):
        assert not queries.may_restore(job=job)
        assert Portfolio.objects.get().deleting_since == AT
    assert state_of(home, job) == "running"


def test_kept_one_needs_its_name_back(home, portfolio_id):
    request(home, portfolio_id)
    with tenant(home):
        make_portfolio(name="FAMILY")

    with pytest.raises(core.NameTaken), tenant(home):
        operations.restore_portfolio(portfolio_id=portfolio_id, at=AT)

    with tenant(home):
        assert Portfolio.objects.get(id=portfolio_id).deleting_since == AT


def test_unknown_portfolio_is_refused(home):
    for operation in (operations.request_portfolio_deletion, operations.restore_portfolio):
        with pytest.raises(Portfolio.DoesNotExist), tenant(home):
            operation(portfolio_id=uuid.uuid4(), at=AT)

"""What a person decides about links and accounts: the bank, a new sign-in, the currency, the same account twice."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest
from django.db import IntegrityError, connections

from fatfire.kit import http
from fatfire.kit.errors import InvalidInput
from services.core import operations as core
from services.core.models import Asset, Portfolio, Transaction, Valuation
from services.history.models import PortfolioDay
from services.integration import operations
from services.integration.models import LeftOut, Link, LinkedAccount, LinkState
from services.integration.operations import linking
from services.integration.providers.plaid import InstitutionUnknown, ItemGone
from services.integration.sandbox.institutions import SEQUOIA, WATTLE
from services.jobs.models import Job, State
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent
from tests.contracts.bank import NOW
from tests.factories import make_asset, make_portfolio, make_tenant, set_value
from tests.slices.linked import Linked, connected_bank, kept_of, link_bank, public_token, request_sync, start, told_by
from workers.runner import advance

DAY = dt.timedelta(days=1)


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


def link_again(bank, linked):
    """Link the same bank into the same portfolio once more; its first import is queued."""
    started = operations.start_link(
        tenant_id=linked.tenant_id, portfolio_id=linked.portfolio_id, user_id=linked.tenant_id, at=NOW
    )
    operations.complete_link(
        tenant_id=linked.tenant_id, link_id=started.link_id, public_token=public_token(bank), at=NOW
    )
    with tenant(linked.tenant_id):
        item_id = Link.objects.get(id=started.link_id).item_id
    return Linked(linked.tenant_id, linked.portfolio_id, started.link_id, item_id)


def accounts_of(linked):
    with tenant(linked.tenant_id):
        return {each.name: each for each in LinkedAccount.objects.filter(link_id=linked.link_id)}


def link_of(linked):
    with tenant(linked.tenant_id):
        return Link.objects.get(id=linked.link_id)


def newest_total(linked):
    with tenant(linked.tenant_id):
        day = PortfolioDay.objects.order_by("-day")[0]
        return day.assets + day.debts


# The bank


def test_chosen_bank_names_the_link_until_the_import_knows_better(bank, run_jobs):
    tenant_id, portfolio_id, _ = start()
    started = operations.start_link(
        tenant_id=tenant_id, portfolio_id=portfolio_id, user_id=tenant_id, institution_id=SEQUOIA.institution_id, at=NOW
    )
    with tenant(tenant_id):
        assert Link.objects.get(id=started.link_id).institution == SEQUOIA.name

    token = public_token(bank, WATTLE.institution_id)
    operations.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
    run_jobs(now=lambda: NOW)

    with tenant(tenant_id):
        link = Link.objects.get(id=started.link_id)
    assert (link.institution_id, link.institution) == (WATTLE.institution_id, WATTLE.name)


def test_unknown_bank_is_refused_and_nothing_is_kept(bank):
    tenant_id, portfolio_id, _ = start()

    with pytest.raises(InstitutionUnknown):
        operations.start_link(
            tenant_id=tenant_id, portfolio_id=portfolio_id, user_id=tenant_id, institution_id="ins_0", at=NOW
        )

    with tenant(tenant_id):
        assert Link.objects.count() == 1


def test_first_banks_are_asked_for_once_in_a_while(bank):
    first = operations.find_institutions(query=" ")
    again = operations.find_institutions(query="")
    found = operations.find_institutions(query="sequoia")

    assert [each.name for each in first] == ["Wattle Bank", "Banksia Mutual", "Kurrajong Super", "Sequoia Trust"]
    assert again == first
    assert [each.name for each in found] == ["Sequoia Trust"]
    assert [path for path, _ in bank.checked.exchanges] == ["/institutions/get", "/institutions/search"]


# A new sign-in


@pytest.fixture
def revoked(bank, linked, run_jobs):
    bank.store.set_login_required(linked.item_id, True)
    request_sync(linked)
    run_jobs(now=lambda: NOW)
    assert link_of(linked).state == LinkState.REVOKED
    return linked


def renew(linked):
    return operations.start_renewal(
        tenant_id=linked.tenant_id, link_id=linked.link_id, user_id=linked.tenant_id, at=NOW
    )


def complete(linked):
    return operations.complete_link(tenant_id=linked.tenant_id, link_id=linked.link_id, at=NOW)


def visit(started, answer):
    with httpx.Client(trust_env=False) as browser:
        browser.get(started.token.hosted_url)
        browser.post(started.token.hosted_url, data={"answer": answer})


def test_renewed_link_goes_on_with_the_same_accounts(bank, revoked, run_jobs):
    before = accounts_of(revoked)

    visit(renew(revoked), "approve")
    completed = complete(revoked)
    run_jobs(now=lambda: NOW)

    assert completed.link.state == LinkState.ACTIVE
    after = accounts_of(revoked)
    assert [(each.id, each.asset_id) for each in after.values()] == [
        (each.id, each.asset_id) for each in before.values()
    ]
    assert kept_of(revoked) == told_by(bank, revoked)
    with tenant(revoked.tenant_id):
        assert list(Link.objects.values_list("item_id", flat=True)) == [revoked.item_id]
        assert AuditEvent.objects.filter(action="renew").count() == 1
        assert Job.objects.get(id=completed.job.id).state == State.SUCCEEDED


@pytest.mark.parametrize("answer", ["cancel", None])
def test_link_stays_revoked_until_the_person_signed_in(revoked, answer):
    started = renew(revoked)
    if answer:
        visit(started, answer)

    with pytest.raises(operations.LinkNotFinished):
        complete(revoked)

    assert link_of(revoked).state == LinkState.REVOKED


def test_renewal_completed_twice_is_one(revoked):
    visit(renew(revoked), "approve")

    first, second = complete(revoked), complete(revoked)

    assert first.job.id == second.job.id
    with tenant(revoked.tenant_id):
        assert AuditEvent.objects.filter(action="renew").count() == 1


def test_link_that_the_bank_forgot_can_not_be_renewed(bank, revoked):
    bank.store.remove_item(revoked.item_id)

    for call in (renew, complete):
        with pytest.raises(ItemGone):
            call(revoked)

    assert link_of(revoked).state == LinkState.REVOKED


def test_link_that_waits_can_not_be_renewed(bank):
    tenant_id, portfolio_id, started = start()

    with pytest.raises(operations.LinkNotFinished):
        renew(Linked(tenant_id, portfolio_id, started.link_id, ""))


# The same account twice


def test_account_is_counted_once_however_often_it_is_linked(bank, linked, run_jobs):
    before = newest_total(linked)

    again = link_again(bank, linked)
    run_jobs(now=lambda: NOW)

    assert {each.left_out for each in accounts_of(again).values()} == {LeftOut.TWIN}
    assert {each.left_out for each in accounts_of(linked).values()} == {None}
    with tenant(linked.tenant_id):
        assert Asset.objects.count() == 4
        assert Transaction.objects.exclude(external_id__in=[row[0] for row in told_by(bank, linked)]).count() == 0
    assert newest_total(linked) == before


def test_same_bank_in_another_portfolio_is_counted_there(bank, linked, run_jobs):
    with tenant(linked.tenant_id):
        other = make_portfolio(name="Company")
    again = link_again(bank, Linked(linked.tenant_id, other.id, linked.link_id, linked.item_id))
    run_jobs(now=lambda: NOW)

    assert {each.left_out for each in accounts_of(again).values()} == {None}


def test_two_first_imports_at_once_count_each_account_once(bank, linked):
    with tenant(linked.tenant_id):
        LinkedAccount.objects.all().delete()
        Asset.objects.all().delete()
        Link.objects.update(cursor="")
    again = link_again(bank, linked)
    request_sync(linked)
    with tenant(linked.tenant_id):
        queued = list(Job.objects.filter(kind="integration.sync_link", state="queued").values_list("id", flat=True))
    barrier = threading.Barrier(2)

    def work(job_id):
        barrier.wait()
        try:
            advance(job_id=job_id, tenant_id=linked.tenant_id, now=lambda: NOW)
        finally:
            connections.close_all()
            http.close_connections()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, queued))

    assert len(queued) == 2
    rows = [*accounts_of(linked).values(), *accounts_of(again).values()]
    assert sorted(str(each.left_out) for each in rows) == ["None"] * 4 + ["twin"] * 4


def test_person_may_say_that_they_are_other_accounts(bank, linked, run_jobs):
    again = link_again(bank, linked)
    run_jobs(now=lambda: NOW)

    with tenant(linked.tenant_id):
        operations.count_twins(link_id=again.link_id, at=NOW)
    run_jobs(now=lambda: NOW)

    assert {each.left_out for each in accounts_of(again).values()} == {None}
    told = sorted([*told_by(bank, linked), *told_by(bank, again)])
    assert kept_of(linked) == told
    with tenant(linked.tenant_id):
        assert Asset.objects.count() == 8


def test_link_takes_over_when_the_one_that_counted_is_removed(bank, linked, run_jobs):
    again = link_again(bank, linked)
    run_jobs(now=lambda: NOW)

    with tenant(linked.tenant_id):
        operations.request_removal(link_id=linked.link_id, at=NOW)
    run_jobs(now=lambda: NOW)

    assert {each.left_out for each in accounts_of(again).values()} == {None}
    with tenant(linked.tenant_id):
        assert Asset.objects.filter(closed_on=None).count() == 4
    mine = set(told_by(bank, again))
    assert {row for row in kept_of(again) if row in mine} == mine


def test_database_refuses_an_account_that_is_counted_twice(linked):
    first, second = list(accounts_of(linked).values())[:2]

    with pytest.raises(IntegrityError, match="integration_account_counted_once"), tenant(linked.tenant_id):
        LinkedAccount.objects.filter(id=second.id).update(identity=first.identity)
    with pytest.raises(IntegrityError, match="integration_account_counted_is_kept"), tenant(linked.tenant_id):
        LinkedAccount.objects.filter(id=first.id).update(asset=None)


# The currency


def set_currency(linked, account, currency):
    with tenant(linked.tenant_id):
        return operations.set_account_currency(account_id=account.id, currency=currency, at=NOW)


def test_currency_changes_what_the_figures_are_reckoned_in_and_no_figure(bank, linked, run_jobs):
    account = accounts_of(linked)["Wattle Everyday"]
    figures = kept_of(linked)
    before = newest_total(linked)
    with tenant(linked.tenant_id):
        values = sorted(Valuation.objects.values_list("asset_id", "on", "value"))

    set_currency(linked, account, "USD")
    assert link_of(linked).cursor == ""
    with tenant(linked.tenant_id):
        assert Portfolio.objects.get().revalue_from == dt.date(1900, 1, 1)
    run_jobs(now=lambda: NOW)
    request_sync(linked)
    run_jobs(now=lambda: NOW)

    with tenant(linked.tenant_id):
        assert Asset.objects.get(id=account.asset_id).currency == "USD"  # the bank still says AUD
        assert sorted(Valuation.objects.values_list("asset_id", "on", "value")) == values
        event = AuditEvent.objects.get(action="currency")
    assert event.details == {"before": "AUD", "currency": "USD"}
    assert accounts_of(linked)["Wattle Everyday"].currency == "AUD"
    assert kept_of(linked) == figures
    assert newest_total(linked) != before


def test_same_currency_again_changes_nothing(linked):
    account = accounts_of(linked)["Wattle Everyday"]
    cursor = link_of(linked).cursor

    set_currency(linked, account, "AUD")

    assert link_of(linked).cursor == cursor
    with tenant(linked.tenant_id):
        assert not AuditEvent.objects.filter(action="currency").exists()


@pytest.mark.parametrize(("currency", "words"), [("JPY", "more decimals than JPY"), ("XYZ", "not a currency")])
def test_currency_that_can_not_be_is_refused(linked, currency, words):
    account = accounts_of(linked)["Wattle Everyday"]

    with pytest.raises(InvalidInput, match=words):
        set_currency(linked, account, currency)

    with tenant(linked.tenant_id):
        assert Asset.objects.get(id=account.asset_id).currency == "AUD"


def test_account_that_is_linked_already_takes_no_currency(bank, linked, run_jobs):
    again = link_again(bank, linked)
    run_jobs(now=lambda: NOW)

    with pytest.raises(operations.AccountLinkedAlready):
        set_currency(again, accounts_of(again)["Wattle Everyday"], "USD")


def test_currency_of_an_account_of_a_removed_link_stays(linked, run_jobs):
    with tenant(linked.tenant_id):
        operations.request_removal(link_id=linked.link_id, at=NOW)
    run_jobs(now=lambda: NOW)

    with pytest.raises(operations.LinkRemoved):
        set_currency(linked, accounts_of(linked)["Wattle Everyday"], "USD")


def test_currency_of_something_kept_by_hand(database):
    with tenant(make_tenant().id):
        asset = make_asset(make_portfolio())
        set_value(asset, "12.50")
        Portfolio.objects.update(revalue_from=None)

        with pytest.raises(core.NotManual):
            core.change_currency(asset_id=asset.id, currency="USD", source="plaid", at=NOW)
        with pytest.raises(InvalidInput):
            core.change_currency(asset_id=asset.id, currency="JPY", at=NOW)
        assert Portfolio.objects.get().revalue_from is None
        changed = core.change_currency(asset_id=asset.id, currency="KWD", at=NOW)

        assert (changed.currency, Valuation.objects.get().value) == ("KWD", Decimal("12.50"))
        assert Portfolio.objects.get().revalue_from == dt.date(1900, 1, 1)


# Links that were never finished


def make_waiting(portfolio, age, state=LinkState.PENDING):
    in_use = {"item_id": f"item-{age}", "access_token": b"sealed"} if state != LinkState.PENDING else {}
    return Link.objects.create(portfolio=portfolio, provider="plaid", state=state, created_at=NOW - age, **in_use)


def test_links_never_finished_are_forgotten_after_a_day_in_batches(database, monkeypatch):
    monkeypatch.setattr(linking, "_FORGOTTEN_AT_ONCE", 2)
    kept = set()
    for owner in (make_tenant(), make_tenant()):
        with tenant(owner.id):
            portfolio = make_portfolio()
            for days in (2, 3, 30):
                make_waiting(portfolio, days * DAY)
            kept |= {
                make_waiting(portfolio, DAY).id,
                make_waiting(portfolio, 40 * DAY, LinkState.ACTIVE).id,
                make_waiting(portfolio, 41 * DAY, LinkState.REVOKED).id,
            }

    assert operations.forget_unfinished_links(at=NOW) == 6
    assert operations.forget_unfinished_links(at=NOW) == 0

    with operator():
        assert set(Link.objects.values_list("id", flat=True)) == kept


def test_link_that_comes_into_use_at_that_moment_is_not_waited_for_and_kept(database):
    owner = make_tenant()
    with tenant(owner.id):
        link = make_waiting(make_portfolio(), 2 * DAY)
    with ThreadPoolExecutor(1) as pool, tenant(owner.id):
        Link.objects.filter(id=link.id).update(state=LinkState.ACTIVE, item_id="item", access_token=b"sealed")

        def forget():
            try:
                return operations.forget_unfinished_links(at=NOW)
            finally:
                connections.close_all()

        assert pool.submit(forget).result(timeout=20) == 0
    with tenant(owner.id):
        assert Link.objects.get().state == LinkState.ACTIVE

"""Linking banks, against the running simulator."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connections

from services.core.models import Portfolio
from services.integration import operations
from services.integration.models import Link, LinkState
from services.integration.providers.plaid import PublicTokenInvalid
from services.integration.sandbox.institutions import WATTLE
from services.jobs.models import Job, State
from tenants.encryption import open_cipher
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.contracts.bank import NOW
from tests.slices.linked import (
    public_token,
    start,
)

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
SYNC, REVALUE, REMOVE = "integration.sync_link", "core.revalue_portfolio", "integration.remove_link"


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
        assert AuditEvent.objects.filter(action="start", subject="link").count() == 1
        assert not Job.objects.exists()
    cipher = open_cipher(tenant_id)
    kept = cipher.decrypt(bytes(link.link_token), model=Link, row_id=link.id, column="link_token")
    assert kept == started.token.token


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

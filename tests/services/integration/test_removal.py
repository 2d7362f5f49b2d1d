"""Letting banks go, and that no token is readable anywhere."""

import datetime as dt
import logging
from decimal import Decimal

import pytest
from django.db import connections
from psycopg import sql

from fatfire.kit import http
from services.core.models import Asset
from services.integration import operations
from services.integration.models import Link, LinkState
from services.integration.sandbox.server import Server
from services.jobs.models import Job, State
from tenants.isolation import tenant
from tests.contracts.bank import NOW, TODAY
from tests.slices.linked import (
    account_of,
    kept_of,
    link_bank,
    link_of,
    public_token,
    request_sync,
    start,
    token_of,
)
from workers.runner import advance

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
SYNC, REVALUE, REMOVE = "integration.sync_link", "core.revalue_portfolio", "integration.remove_link"


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

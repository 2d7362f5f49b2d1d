"""A portfolio with a bank is deleted: the bank is let go, and no import comes after it."""

import datetime as dt
import uuid

import pytest

from services.cleanup.operations import request_portfolio_deletion, restore_portfolio
from services.core.models import Asset, Transaction
from services.integration import operations as integration
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkedAccount
from services.integration.operations import syncing
from services.jobs.models import Job, JobStep
from tenants.isolation import tenant
from tests.contracts.bank import NOW
from tests.services.cleanup.portfolios import row_counts
from tests.slices.linked import connected_bank, link_bank, public_token, request_sync
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance, run_due


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        yield running


@pytest.fixture
def linked(bank):
    linked = link_bank(bank, history_days=3)
    run_due(now=lambda: NOW)
    return linked


def delete(linked):
    with tenant(linked.tenant_id):
        return request_portfolio_deletion(portfolio_id=linked.portfolio_id, at=NOW).id


def job_now(linked, job_id):
    with tenant(linked.tenant_id):
        return Job.objects.get(id=job_id)


def test_bank_is_let_go_and_imports_stop(bank, linked):
    waiting = request_sync(linked)
    assert bank.store.items()

    deletion = delete(linked)
    assert job_now(linked, waiting).state == "cancelled"
    run_due(now=lambda: NOW)

    assert job_now(linked, deletion).state == "succeeded"
    assert not bank.store.items()
    with tenant(linked.tenant_id):
        assert set(row_counts().values()) == {0}
        assert JobStep.objects.get(job=deletion, name="remove_links").output == {"links": 1}
        assert not Job.objects.filter(state__in=["failed", "queued", "running"]).exists()


def test_bank_linked_twice_is_not_read_while_the_first_is_let_go(bank, linked):
    """A link that goes has the others count the accounts that it brought: not into a portfolio that goes, too."""
    later = NOW + dt.timedelta(minutes=1)  # so the one that counts the accounts goes first
    again = integration.start_link(
        tenant_id=linked.tenant_id, portfolio_id=linked.portfolio_id, user_id=uuid.uuid4(), at=later
    )
    integration.complete_link(
        tenant_id=linked.tenant_id, link_id=again.link_id, public_token=public_token(bank, history_days=3), at=NOW
    )
    run_due(now=lambda: NOW)
    with tenant(linked.tenant_id):
        assert LinkedAccount.objects.filter(link_id=again.link_id, asset=None).exists()
        imports = Job.objects.filter(kind=SYNC_LINK.name)
        before = imports.count()

    deletion = delete(linked)
    run_due(now=lambda: NOW)

    assert job_now(linked, deletion).state == "succeeded"
    assert not bank.store.items()
    with tenant(linked.tenant_id):
        assert set(row_counts().values()) == {0}
        assert imports.count() == before


def test_import_under_way_writes_nothing(linked, monkeypatch):
    importing, read = request_sync(linked), syncing._read
    with tenant(linked.tenant_id):
        before = row_counts()

    def deleted_meanwhile(*arguments, **options):
        news = read(*arguments, **options)
        delete(linked)
        return news

    monkeypatch.setattr(syncing, "_read", deleted_meanwhile)
    advance(job_id=importing, tenant_id=linked.tenant_id, now=lambda: NOW)

    assert job_now(linked, importing).state == "cancelled"
    with tenant(linked.tenant_id):
        assert row_counts() == before


def test_bank_that_is_down_holds_it_up_and_it_can_be_kept(linked, settings):
    address, settings.PLAID_URL = settings.PLAID_URL, "http://127.0.0.1:1"
    deletion = delete(linked)
    advance(job_id=deletion, tenant_id=linked.tenant_id, now=lambda: NOW)

    with tenant(linked.tenant_id):
        step = JobStep.objects.get(job=deletion, name="remove_links")
        assert (step.state, step.retries, step.error_code) == ("queued", 1, "temporarily_unavailable")
        restore_portfolio(portfolio_id=linked.portfolio_id, at=NOW)
        assert (Link.objects.get().state, Asset.objects.filter(closed_on=None).exists()) == ("active", True)
        kept = Transaction.objects.count()
    settings.PLAID_URL = address

    request_sync(linked)
    run_due(now=lambda: NOW)
    with tenant(linked.tenant_id):
        assert Transaction.objects.count() >= kept
        assert not Job.objects.filter(state="failed").exists()

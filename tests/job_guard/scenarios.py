"""Scenarios: each queues a job of its kind that has something to do, always the same, for a tenant of its own."""

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.db.models import Max, Q

import services
from services.accounts import sign_in
from services.accounts.jobs import SEND_SIGN_IN_LINK
from services.accounts.models import SignInRequest, SignInToken
from services.cleanup.jobs import APPLY_RETENTION, DELETE_PORTFOLIO
from services.cleanup.operations import request_portfolio_deletion
from services.core.jobs import REVALUE_PORTFOLIO
from services.core.models import AssetKind, Portfolio, Side
from services.exchange.jobs import LOAD_RATES
from services.exchange.models import Rate
from services.exchange.operations import load_rates
from services.history.jobs import ROLL_UP_DUE
from services.integration import operations as integration
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.jobs import operations as jobs
from services.jobs.jobs import JobKind, Reach
from services.jobs.models import Job, JobStep, State
from services.telemetry.models import RequestCount
from tenants.isolation import operator, tenant
from tenants.models import Membership
from tests.contracts.bank import NOW, TODAY, Bank
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value
from tests.factories import TODAY as FACTORY_TODAY
from tests.services.insurance.rows import make_policy
from tests.services.media import jobs as media
from tests.services.receipts.rows import make_receipt
from tests.slices.linked import account_of, link_bank
from workers.runner import run_due


@dataclass(frozen=True)
class Work:
    """A queued job, the tenant in whose rows its work is seen, and the present."""

    job_id: UUID
    kind: JobKind
    seen_in: UUID
    at: dt.datetime = AT

    @property
    def tenant_id(self) -> UUID | None:
        """Return the job's own tenant."""
        return None if self.kind.reach is Reach.PLATFORM else self.seen_in


def sync_with_news(bank: Bank) -> Work:
    """An import of what is new: added, corrected, taken back, and a pending one that posts."""
    linked = link_bank(bank, history_days=3)
    everyday, card = account_of(bank, linked, "everyday"), account_of(bank, linked, "card")
    first = bank.store.add_transaction(everyday, Decimal("12.00"), TODAY, "First")
    second = bank.store.add_transaction(everyday, Decimal("13.00"), TODAY, "Second")
    pending = bank.store.add_transaction(card, Decimal("14.00"), TODAY, "Pending", pending=True)
    run_due(now=lambda: NOW)
    bank.store.modify_transaction(first, amount=Decimal("21.00"), description="Corrected")
    bank.store.remove_transaction(second)
    bank.store.post_pending(pending, TODAY, amount=Decimal("15.00"))
    bank.store.add_transaction(everyday, Decimal("-123.45"), TODAY, "Third")
    with tenant(linked.tenant_id):
        job = integration.request_sync(link_id=linked.link_id, at=NOW)
    return Work(job.id, SYNC_LINK, linked.tenant_id, at=NOW)


def removal_of_a_link(bank: Bank) -> Work:
    """The end of a link with accounts."""
    linked = link_bank(bank, history_days=3)
    run_due(now=lambda: NOW)
    with tenant(linked.tenant_id):
        job = integration.request_removal(link_id=linked.link_id, at=NOW)
    return Work(job.id, REMOVE_LINK, linked.tenant_id, at=NOW)


def household() -> tuple[UUID, UUID]:
    """Return a tenant and its portfolio, worth something since a week ago."""
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio(name="Family")
        house = make_asset(portfolio, name="House", kind=AssetKind.PROPERTY)
        debt = make_asset(portfolio, name="Debt", kind=AssetKind.LOAN, side=Side.DEBT)
        set_value(house, "700000.00", on=FACTORY_TODAY - dt.timedelta(days=7))
        set_value(house, "710000.00", on=FACTORY_TODAY)
        set_value(debt, "-400000.00", on=FACTORY_TODAY - dt.timedelta(days=5))
    return owner.id, portfolio.id


def revaluation(_: Bank) -> Work:
    """The history of a portfolio whose values changed."""
    tenant_id, portfolio_id = household()
    with tenant(tenant_id):
        job = Job.objects.get(kind=REVALUE_PORTFOLIO.name, subject_id=portfolio_id)
    return Work(job.id, REVALUE_PORTFOLIO, tenant_id)


def rollup_of_all(_: Bank) -> Work:
    """Everybody's history."""
    tenant_id, _ = household()
    with operator():
        job = jobs.enqueue(kind=ROLL_UP_DUE, at=AT)
    return Work(job.id, ROLL_UP_DUE, tenant_id)


def rates(_: Bank) -> Work:
    """Rates that are missing: of days that the package knows, and of one that only the Central Bank does."""
    with operator():
        is_loaded = Rate.objects.exists()
    if not is_loaded:
        load_rates(url="")
    with operator():
        newest = Rate.objects.aggregate(day=Max("on"))["day"]
        missing = Q(load__gt=1) if is_loaded else Q(on__gt=newest - dt.timedelta(days=3))
        Rate.objects.filter(missing).delete()
        job = jobs.enqueue(kind=LOAD_RATES, at=AT)
    return Work(job.id, LOAD_RATES, make_tenant().id)


def sign_in_link(_: Bank) -> Work:
    """A link that someone asked for, the only one there is."""
    with operator():
        SignInToken.objects.all().delete()
        SignInRequest.objects.all().delete()
        Job.objects.filter(kind=SEND_SIGN_IN_LINK.name).delete()
    owner = make_tenant()
    sign_in.request_sign_in(email=f"owner@{owner.slug}.example", network="192.0.2.1", next_path="/", at=AT)
    with operator():
        job = Job.objects.get(kind=SEND_SIGN_IN_LINK.name)
    return Work(job.id, SEND_SIGN_IN_LINK, owner.id)


def old_rows(_: Bank) -> Work:
    """Rows that were kept for long enough, beside some that were not."""
    owner, long_ago = make_tenant(), AT - dt.timedelta(days=100)
    with tenant(owner.id):
        for ended_at in (long_ago, AT):
            done = Job.objects.create(kind="test.x", state=State.SUCCEEDED, created_at=long_ago, finished_at=ended_at)
            JobStep.objects.create(job=done, name="run", position=0, state=State.SUCCEEDED, run_after=long_ago)
    with operator():
        RequestCount.objects.create(minute=long_ago, name="GET /", status=200, requests=1, duration_ms=1)
        Session.objects.create(session_key=str(owner.id), session_data="", expire_date=long_ago)
        asked = SignInRequest.objects.create(email="owner@x.example", created_at=long_ago)
        SignInToken.objects.create(
            user_id=Membership.objects.get(tenant=owner).user_id,
            request=asked,
            digest=owner.id.bytes * 2,
            created_at=long_ago,
            expires_at=long_ago,
        )
        job = jobs.enqueue(kind=APPLY_RETENTION, at=AT)
    return Work(job.id, APPLY_RETENTION, owner.id)


def deletion_of_a_portfolio(bank: Bank) -> Work:
    """The end of a portfolio with a link in use, accounts and their history, and records."""
    linked = link_bank(bank, history_days=3)
    run_due(now=lambda: NOW)
    with tenant(linked.tenant_id):
        portfolio = Portfolio.objects.get()
        make_policy(portfolio)
        make_receipt(portfolio, purchased_on=TODAY)
        job = request_portfolio_deletion(portfolio_id=portfolio.id, at=NOW)
    return Work(job.id, DELETE_PORTFOLIO, linked.tenant_id, at=NOW)


def _of_media(queue: Callable[[UUID], UUID]) -> Callable[[Bank], Work]:
    """Return the scenario that has `queue` queue the job for a tenant; it returns the job's id."""

    def scenario(_: Bank) -> Work:
        owner = make_tenant()
        job_id = queue(owner.id)
        with operator():
            kind = JobKind.named(Job.objects.get(id=job_id).kind)
        return Work(job_id, kind, owner.id)

    return scenario


SCENARIOS: dict[str, Callable[[Bank], Work]] = {
    SYNC_LINK.name: sync_with_news,
    REMOVE_LINK.name: removal_of_a_link,
    REVALUE_PORTFOLIO.name: revaluation,
    ROLL_UP_DUE.name: rollup_of_all,
    LOAD_RATES.name: rates,
    SEND_SIGN_IN_LINK.name: sign_in_link,
    APPLY_RETENTION.name: old_rows,
    DELETE_PORTFOLIO.name: deletion_of_a_portfolio,
    **{name: _of_media(queue) for name, queue in media.SCENARIOS.items()},
}


def declared_kinds() -> Iterator[JobKind]:
    """Yield every kind that a service declares."""
    for service in pkgutil.iter_modules(services.__path__):
        path = f"services.{service.name}.jobs"
        if service.ispkg and importlib.util.find_spec(path):
            yield from (each for each in vars(importlib.import_module(path)).values() if isinstance(each, JobKind))


KINDS = sorted({kind.name for kind in declared_kinds()})


def scenario_of(name: str) -> Callable[[Bank], Work]:
    if name not in SCENARIOS:
        pytest.fail(
            f"The kind of job {name!r} has no scenario: add a function to "
            "tests/job_guard/scenarios.py that queues a job of "
            "this kind with something to do, and name it in SCENARIOS."
        )
    return SCENARIOS[name]

"""Guard: every kind of job leaves the same rows however often it is delivered and wherever its process is killed.

By every transport: memory's messages die with their process, SQS shows one again whose worker was killed, and so does
Lambda with an invocation. A kind is found by being declared in a service's jobs.py, and needs a scenario here.
"""

import contextlib
import datetime as dt
import hashlib
import importlib
import pkgutil
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import connections
from django.db.models import Max, Q
from psycopg import sql
from psycopg.rows import dict_row

import services
from fatfire.kit import http
from fatfire.kit.serving import Server
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
from tenants.isolation import operator, tenant, tenant_or_operator
from tenants.models import Membership
from tests.contracts.bank import NOW, TODAY, Bank
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value
from tests.factories import TODAY as FACTORY_TODAY
from tests.services.insurance.rows import make_policy
from tests.services.messaging.smtp import running_mail_server
from tests.services.receipts.rows import make_receipt
from tests.slices.linked import account_of, connected_bank, link_bank
from tests.workers import planted
from tests.workers.forker import NEVER, Forker, running_forker
from tests.workers.invocations import recording_lambda
from tests.workers.transports import Lambda, Memory, Message, Sqs, Transport, present, run
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import OPERATIONS, run_due

QUICK_POINTS = {"memory": 5, "sqs": 3, "lambda": 3}
DEADLINE_S = 30


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


# Scenarios: each queues a job of its kind that has something to do, always the same, for a tenant of its own.


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


SCENARIOS: dict[str, Callable[[Bank], Work]] = {
    SYNC_LINK.name: sync_with_news,
    REMOVE_LINK.name: removal_of_a_link,
    REVALUE_PORTFOLIO.name: revaluation,
    ROLL_UP_DUE.name: rollup_of_all,
    LOAD_RATES.name: rates,
    SEND_SIGN_IN_LINK.name: sign_in_link,
    APPLY_RETENTION.name: old_rows,
    DELETE_PORTFOLIO.name: deletion_of_a_portfolio,
}


def declared_kinds() -> Iterator[JobKind]:
    """Yield every kind that a service declares."""
    for service in pkgutil.iter_modules(services.__path__):
        path = f"services.{service.name}.jobs"
        if service.ispkg and importlib.util.find_spec(path):
            yield from (each for each in vars(importlib.import_module(path)).values() if isinstance(each, JobKind))


KINDS = sorted({kind.name for kind in declared_kinds()})

RATES_DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<Cube><Cube time="2099-01-05"><Cube currency="USD" rate="1.1"/><Cube currency="AUD" rate="1.7"/></Cube></Cube>
</gesmes:Envelope>"""


def central_bank(environ, start_response):
    """Answer every request with the day's rates."""
    start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(RATES_DOCUMENT)))])
    return [RATES_DOCUMENT]


@pytest.fixture
def bank(tmp_path, settings, database) -> Iterator[Bank]:
    """A bank, a Central Bank and a mail server, that the settings name."""
    with (
        Server(central_bank, 0) as rates_server,
        running_mail_server() as mail_server,
        connected_bank(tmp_path, settings) as running,
    ):
        settings.RATES_URL = rates_server.url
        settings.MAILERS = {"default": mail_server.mailer}
        yield running
        http.close_connections()


@pytest.fixture(params=["memory", pytest.param("sqs", marks=pytest.mark.xdist_group("lambda")), "lambda"])
def transport(request, settings) -> Iterator[Transport]:
    """What carries all messages of the test."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqs":
            carrier = Sqs(request.getfixturevalue("queues"))
        elif request.param == "lambda":
            carrier = Lambda(stack.enter_context(recording_lambda()))
        else:
            carrier = Memory()
        settings.QUEUE_BROKERS = carrier.brokers
        yield carrier


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    """The process that can be killed."""
    with running_forker("tests.workers.planted") as running:
        yield running


def scenario_of(name: str) -> Callable[[Bank], Work]:
    if name not in SCENARIOS:
        pytest.fail(
            f"The kind of job {name!r} has no scenario: add a function to tests/test_job_guard.py that queues a job of "
            "this kind with something to do, and name it in SCENARIOS."
        )
    return SCENARIOS[name]


def deliver(work: Work, transport: Transport, *, later: dt.timedelta = dt.timedelta(0)) -> list[Message]:
    """Run the messages about the job, and those that these send, until there are none; return them all."""
    ran = []
    while messages := transport.take(work.job_id):
        for message in messages:
            run_here(work, transport, message, later=later)
            transport.done(message)
        ran += messages
    return ran


def run_here(work: Work, transport: Transport, message: Message, *, later: dt.timedelta = dt.timedelta(0)) -> None:
    with present(work.at + later):
        assert run(transport.name, message)


def finish(work: Work, transport: Transport) -> None:
    """Run the job to its end, as the sweep would: past the lease of whoever had it."""
    later = dt.timedelta(seconds=work.kind.lease_s + 60)
    until = time.monotonic() + DEADLINE_S
    while state_of(work) in {State.QUEUED, State.RUNNING}:
        assert time.monotonic() < until, f"{work.kind.name} never ends"
        jobs.sweep(at=work.at + later, resend_after_s=0)
        deliver(work, transport, later=later)  # nothing, until the database notices that the killed one is gone
        later *= 2  # after which a message that was of no use is sent again


def state_of(work: Work) -> State:
    with tenant_or_operator(work.tenant_id):
        return State(Job.objects.get(id=work.job_id).state)


def clean_run(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    """Return what one delivery leaves."""
    work = scenario(bank)
    deliver(work, transport)
    assert state_of(work) == State.SUCCEEDED
    return fingerprint(work, admin)


# The fingerprint: rows without what differs from run to run.

BOOKKEEPING = {
    "jobs_job": {"id", "kind", "subject_id", "state", "error_code"},
    "jobs_jobstep": {"job_id", "name", "state", "error_code"},
}
"""The only columns of these that count."""
LEFT_OUT = {"telemetry_invocation"}
OPAQUE = {"external_id", "item_id", "cursor"}
"""Columns whose texts are ids that the bank makes up."""
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COUNTS = {"accounts_signinrequest": "t.next_path", "accounts_signintoken": "(t.next_path, t.used_at)"}
"""What counts of a shared table whose rows are no two times the same: secrets, addresses, moments."""
ROUNDS = 4


def fingerprint(work: Work, admin) -> list[str]:
    """Return a line for each row of the tenant, and for the job; equal for equal rows up to a renaming of all ids.

    Each id is replaced by a digest of the rows in which it stands, and these again by their ids' digests, a few times
    over: so rows count as equal only if they also hang together in the same way.
    """
    rows = [*tenant_rows(work, admin)]
    standing: dict[object, str] = defaultdict(str)
    for _ in range(ROUNDS):
        places = defaultdict(list)
        for table, row in rows:
            line = written(table, row, standing)
            for column, value in row.items():
                if is_id(column, value):
                    places[value].append(f"{column}@{line}")
        standing = defaultdict(str, {each: digest("\n".join(sorted(found))) for each, found in places.items()})
    return sorted(written(table, row, standing) for table, row in rows) + shared_rows(admin)


def tenant_rows(work: Work, admin) -> Iterator[tuple[str, dict[str, object]]]:
    tables = admin.execute("SELECT DISTINCT table_name FROM information_schema.columns WHERE column_name = 'tenant_id'")
    with admin.cursor(row_factory=dict_row) as cursor:
        for (table,) in sorted(tables.fetchall()):
            if table in LEFT_OUT:
                continue
            cursor.execute(
                sql.SQL("SELECT * FROM {} WHERE tenant_id = %s").format(sql.Identifier(table)), [work.seen_in]
            )
            for row in cursor.fetchall():
                yield table, {name: each for name, each in row.items() if name in BOOKKEEPING.get(table, row)}
        cursor.execute("SELECT kind, state, error_code FROM jobs_job WHERE id = %s", [work.job_id])
        yield "the job", cursor.fetchone()


def shared_rows(admin) -> list[str]:
    """Return a line for each table that belongs to no tenant, but users: no job makes any."""
    tables = [
        apps.get_model(label)._meta.db_table for label in django_settings.SHARED_MODELS if label != "tenants.User"
    ]
    summed = sql.SQL("SELECT count(*), sum(hashtext({}::text)) FROM {} t")
    return [
        f"{table} {admin.execute(summed.format(sql.SQL(COUNTS.get(table, 't')), sql.Identifier(table))).fetchone()}"
        for table in tables
    ]


def is_id(column: str, value: object) -> bool:
    return isinstance(value, UUID) or (column in OPAQUE and bool(value))


def written(table: str, row: dict[str, object], standing: dict[object, str]) -> str:
    return f"{table} " + ", ".join(f"{column}={shown(column, row[column], standing)}" for column in sorted(row))


def shown(column: str, value: object, standing: dict[object, str]) -> str:
    if is_id(column, value):
        return f"<{standing[value]}>"
    if isinstance(value, dt.datetime):
        return "<moment>"
    if isinstance(value, bytes):
        return "<bytes>"
    return UUID_TEXT.sub("<uuid>", str(value))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# What is done to every kind.


def deliver_twice(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    work = scenario(bank)
    for message in deliver(work, transport):
        run_here(work, transport, message)
    return fingerprint(work, admin)


def deliver_twice_at_once(scenario: Callable[[Bank], Work], bank: Bank, transport: Transport, admin) -> list[str]:
    work, barrier = scenario(bank), threading.Barrier(2)
    [message] = transport.take(work.job_id)

    def run_one(_: int) -> None:
        barrier.wait()
        try:
            assert run(transport.name, message)
        finally:
            connections.close_all()

    with present(work.at), ThreadPoolExecutor(2) as pool:
        list(pool.map(run_one, range(2)))
    transport.done(message)
    deliver(work, transport)
    finish(work, transport)
    return fingerprint(work, admin)


def child_settings() -> dict[str, Any]:
    return {
        "PLAID_URL": django_settings.PLAID_URL,
        "PLAID_CLIENT_ID": django_settings.PLAID_CLIENT_ID,
        "PLAID_SECRET": django_settings.PLAID_SECRET.get_secret_value(),
        "RATES_URL": django_settings.RATES_URL,
        "MAILERS": django_settings.MAILERS,
        "ENVIRONMENT": django_settings.ENVIRONMENT,
        "QUEUE_BROKERS": django_settings.QUEUE_BROKERS,
    }


def kill_everywhere(
    scenario: Callable[[Bank], Work],
    bank: Bank,
    transport: Transport,
    admin,
    forker: Forker,
    *,
    most: int | None = None,
) -> list[str]:
    """Kill the job's process at each point (at `most` of them, evenly chosen), and finish it; return the points.

    Raises:
        AssertionError: the rows differ from those of a clean run.
    """
    expected = clean_run(scenario, bank, transport, admin)
    unharmed = scenario(bank)
    points = run_in_forks(unharmed, transport, forker)
    assert fingerprint(unharmed, admin) == expected
    for index in chosen(len(points), most):
        work = scenario(bank)
        passed = run_in_forks(work, transport, forker, kill_at=index)
        assert len(passed) == index + 1
        finish(work, transport)
        assert fingerprint(work, admin) == expected, f"killed at point {index}, {points[index]}"
    return points


def run_in_forks(work: Work, transport: Transport, forker: Forker, *, kill_at: int | None = None) -> list[str]:
    """Run the messages about the job, each in a process of its own, until none comes or one is killed."""
    points: list[str] = []
    while messages := transport.take(work.job_id):
        for number, message in enumerate(messages):
            passed, ended_well = forker.run(
                transport=transport.name,
                message=message,
                job_id=work.job_id,
                at=work.at.isoformat(),
                settings=child_settings(),
                kill_at=NEVER if kill_at is None else kill_at - len(points),
            )
            points += passed
            if ended_well:
                transport.done(message)
                continue
            for each in messages[number:]:
                transport.show_again(each)
            return points
    return points


def chosen(count: int, most: int | None) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly, the first and the last among them."""
    if most is None or count <= most:
        return list(range(count))
    return sorted({round(each * (count - 1) / (most - 1)) for each in range(most)})


@pytest.mark.parametrize("name", KINDS)
def test_job_delivered_twice_leaves_the_same_rows(name, bank, transport, admin):
    scenario = scenario_of(name)
    expected = clean_run(scenario, bank, transport, admin)

    assert deliver_twice(scenario, bank, transport, admin) == expected
    assert deliver_twice_at_once(scenario, bank, transport, admin) == expected


@pytest.mark.parametrize("name", KINDS)
def test_job_killed_anywhere_leaves_the_same_rows(name, bank, transport, admin, forker):
    points = kill_everywhere(scenario_of(name), bank, transport, admin, forker, most=QUICK_POINTS[transport.name])

    assert {"before commit", "after commit"} <= set(points)


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_job_killed_at_every_point_leaves_the_same_rows(name, bank, transport, admin, forker):
    kill_everywhere(scenario_of(name), bank, transport, admin, forker)


def test_kind_without_a_scenario_is_told_what_to_add():
    with pytest.raises(pytest.fail.Exception, match=r"'nobody\.knows' has no scenario: add a function"):
        scenario_of("nobody.knows")


def test_every_kind_has_an_operation_for_each_step():
    declared = {(kind.name, step.name) for kind in declared_kinds() for step in kind.steps}

    assert declared == {key for key in OPERATIONS if not key[0].startswith("test.")}


# The guard guarded: a job with a fault must be found out.


def queued(kind: JobKind) -> Callable[[Bank], Work]:
    def scenario(_: Bank) -> Work:
        owner = make_tenant()
        with tenant(owner.id):
            for name in ("Boat", "Family"):
                set_value(make_asset(make_portfolio(name=name), name=name), "1.00")
            job = jobs.enqueue(kind=kind, at=AT)
        return Work(job.id, kind, owner.id)

    return scenario


@pytest.fixture
def memory() -> Transport:
    return Memory()


def test_guard_finds_a_job_that_is_not_repeatable(bank, memory, admin, forker):
    with pytest.raises(AssertionError, match="killed at point"):
        kill_everywhere(queued(planted.ADDS_EACH_TIME), bank, memory, admin, forker)


def test_guard_finds_rows_that_hang_together_wrongly(bank, memory, admin, forker):
    with pytest.raises(AssertionError, match="killed at point"):
        kill_everywhere(queued(planted.LINKS_DIFFERENTLY), bank, memory, admin, forker)


def test_guard_finds_nothing_in_a_repeatable_job(bank, memory, admin, forker):
    points = kill_everywhere(queued(planted.ADDS_ONCE), bank, memory, admin, forker)

    assert points == ["before commit", "after commit"] * 3  # the claim, the work, the end

"""From the bank to the net worth: what moves there moves here, by exactly as much, once, whatever dies in between."""

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from fatfire.kit import clock
from fatfire.kit.serving import Server
from services.analytics import queries as analytics
from services.core.models import Asset, Transaction, Valuation
from services.exchange.models import Rate
from services.history.models import AssetDay, PortfolioDay
from services.integration.sandbox.institutions import SEQUOIA, WATTLE
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep, State
from tenants.isolation import operator, tenant
from tests.contracts.bank import NOW, TODAY
from tests.slices.linked import account_of, connected_bank, kept_of, link_bank, request_sync, told_by
from workers.schedule import SCHEDULE

DAY = dt.timedelta(days=1)
REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60
CENT = Decimal("0.01")
MONEY_IN = Decimal("123.45")


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        yield running


def net_worth(linked, on=TODAY):
    with tenant(linked.tenant_id):
        return analytics.totals(portfolio_id=linked.portfolio_id, on=on).net_worth


def history_of(linked):
    """Return every figure of every day: (day, of what) -> worth."""
    with tenant(linked.tenant_id):
        days = {(day, name): value for day, name, value in AssetDay.objects.values_list("day", "asset__name", "value")}
        for row in PortfolioDay.objects.all():
            days |= {(row.day, "all assets"): row.assets, (row.day, "all debts"): row.debts}
        return days


def rows_of(linked):
    """Return what is kept of the bank, but for when it was written."""
    with tenant(linked.tenant_id):
        return (
            set(Asset.objects.values_list("id", "name", "external_id", "closed_on")),
            set(Valuation.objects.values_list("asset__name", "on", "value")),
            set(Transaction.objects.values_list("id", "external_id", "amount", "booked_on", "pending", "description")),
        )


@pytest.mark.parametrize(
    ("account", "amount", "side"),
    [
        ("everyday", MONEY_IN, "all assets"),
        ("everyday", -MONEY_IN, "all assets"),
        ("card", MONEY_IN, "all debts"),  # a payment: less is owed
        ("access", -MONEY_IN, "all debts"),
    ],
)
def test_what_moves_at_the_bank_moves_the_net_worth_by_as_much_and_nothing_else(bank, run_jobs, account, amount, side):
    linked = link_bank(bank)
    run_jobs(now=lambda: NOW)
    worth, history, (assets, values, transactions) = net_worth(linked), history_of(linked), rows_of(linked)
    name = WATTLE.account(account).name

    moved = bank.store.add_transaction(account_of(bank, linked, account), -amount, TODAY, "From Sam")
    request_sync(linked)
    run_jobs(now=lambda: NOW)

    assert net_worth(linked) == worth + amount
    changed = {key: value - history[key] for key, value in history_of(linked).items() if value != history[key]}
    assert changed == {(TODAY, name): amount, (TODAY, side): amount}
    after_assets, after_values, after_transactions = rows_of(linked)
    assert after_assets == assets
    assert [(name, on) for name, on, _ in after_values - values] == [(name, TODAY)]
    assert [row[1:] for row in after_transactions - transactions] == [(moved, amount, TODAY, False, "From Sam")]
    assert transactions <= after_transactions


def test_net_worth_is_what_the_bank_says_that_there_is(bank, run_jobs):
    linked = link_bank(bank)

    run_jobs(now=lambda: NOW)

    owned = sum(each.closing_cents for each in WATTLE.accounts if each.type == "depository")
    owed = sum(each.closing_cents for each in WATTLE.accounts if each.type in {"credit", "loan"})
    assert net_worth(linked) == Decimal(owned - owed) / 100


def test_movement_in_dollars_counts_at_the_days_rate(bank, run_jobs):
    """One US dollar is worth 1.7 / 1.1 Australian ones today; yesterday it was worth 2."""
    with operator():
        Rate.objects.bulk_create(
            [
                Rate(currency="USD", on=TODAY - DAY, per_euro=Decimal("1.0"), load=1),
                Rate(currency="AUD", on=TODAY - DAY, per_euro=Decimal("2.0"), load=1),
                Rate(currency="USD", on=TODAY, per_euro=Decimal("1.1"), load=1),
                Rate(currency="AUD", on=TODAY, per_euro=Decimal("1.7"), load=1),
            ]
        )
    linked = link_bank(bank, SEQUOIA.institution_id)
    run_jobs(now=lambda: NOW)
    before, history = net_worth(linked), history_of(linked)
    signs = {"credit": -1, "loan": -1}
    dollars = {each.name: Decimal(each.closing_cents * signs.get(each.type, 1)) / 100 for each in SEQUOIA.accounts}
    assert before == sum(map(in_aud, dollars.values()))

    bank.store.add_transaction(account_of(bank, linked, "checking"), -MONEY_IN, TODAY, "From Sam")
    request_sync(linked)
    run_jobs(now=lambda: NOW)

    checking = dollars["Sequoia Checking"]
    difference = in_aud(checking + MONEY_IN) - in_aud(checking)
    assert net_worth(linked) - before == difference
    assert difference in {Decimal("190.78"), Decimal("190.79")}  # 190.7863…, by how the rest rounds
    changed = {key: value - history[key] for key, value in history_of(linked).items() if value != history[key]}
    assert changed == {(TODAY, "Sequoia Checking"): MONEY_IN, (TODAY, "all assets"): difference}


def in_aud(dollars):
    return (dollars * Decimal("1.7") / Decimal("1.1")).quantize(CENT, ROUND_HALF_UP)


class Killing:
    """The bank, which at a moment of the test's choice kills the process that asks it."""

    def __init__(self, application):
        self.application, self.victim, self.pages = application, None, 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/transactions/sync" and self.victim is not None:
            self.pages += 1
            if self.pages == 2:
                self.victim.send_signal(signal.SIGKILL)
                self.victim.wait()
                self.victim = None
        return self.application(environ, start_response)


WORKER = """
import signal, django
django.setup()
from workers.embedded import worker_and_scheduler
with worker_and_scheduler():
    signal.sigwait({signal.SIGTERM})
"""


@contextlib.contextmanager
def worker_process(bank_url):
    """Run a worker and a scheduler in a process of their own, as `make demo` does."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
        "PLAID_URL": bank_url,
        "PLAID_CLIENT_ID": "simulator-client",
        "PLAID_SECRET": "simulator-secret",
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-c", WORKER], cwd=REPOSITORY, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(holds):
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < DEADLINE_S
        time.sleep(0.02)


def test_worker_killed_in_the_middle_of_an_import_imports_each_transaction_once_when_it_is_back(bank):
    leave_the_schedule_to_others()
    linked = link_bank(bank, history_days=730)

    def sync_job():
        with tenant(linked.tenant_id):
            return Job.objects.get(kind="integration.sync_link")

    killing = Killing(bank.checked)
    with Server(killing, 0) as server:
        with worker_process(server.url) as worker:
            killing.victim = worker
            wait_until(lambda: worker.poll() == -signal.SIGKILL)
        assert sync_job().state == State.RUNNING
        assert kept_of(linked) == []
        # Two minutes pass: the lease of the one that was killed is over.
        with tenant(linked.tenant_id):
            JobStep.objects.filter(state=State.RUNNING).update(lease_until=clock.now() - dt.timedelta(seconds=1))
        with worker_process(server.url):
            wait_until(lambda: sync_job().state != State.RUNNING and no_job_is_open(linked))

    assert sync_job().state == State.SUCCEEDED
    with tenant(linked.tenant_id):
        assert JobStep.objects.get(job=sync_job()).attempts == 2
    kept = kept_of(linked)
    assert len(kept) > 1000
    assert kept == told_by(bank, linked)
    owned = sum(each.closing_cents for each in WATTLE.accounts if each.type == "depository")
    owed = sum(each.closing_cents for each in WATTLE.accounts if each.type in {"credit", "loan"})
    assert net_worth(linked, on=clock.local_date(clock.now(), "Australia/Sydney")) == Decimal(owned - owed) / 100


def leave_the_schedule_to_others():
    """Have the schedule's own jobs run elsewhere: the rates alone take longer than the test."""
    for kind in [entry.kind for entry in SCHEDULE if entry.kind]:
        with operator():
            job = jobs.enqueue(kind=kind, at=clock.now())
            JobStep.objects.filter(job_id=job.id).update(run_after=clock.now() + DAY)


def no_job_is_open(linked):
    with tenant(linked.tenant_id):
        return not Job.objects.filter(state__in=[State.QUEUED, State.RUNNING]).exists()

"""The rollup, case by case: what each day is worth, when days begin and end, what has a history redone."""

import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pytest
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext

from services.core import operations as core
from services.core.models import Portfolio
from services.history import operations
from services.history.jobs import ROLL_UP_DUE
from services.history.models import AssetDay, PortfolioDay, RollupState
from services.history.operations import Written
from services.jobs import operations as jobs
from services.jobs.models import Job
from tenants.isolation import operator, tenant
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_tenant, make_transaction
from tests.plugin import admin_dsn
from tests.services.history.reference import Total
from tests.services.history.rolling import add_rates, roll_up, stored

NOV = {number: dt.date(2026, 11, number) for number in range(1, 31)}
BIGGEST = Decimal("922337203685477.5807")


def observe(asset, value, on=TODAY):
    """Record a value as a bank does: any sign, any day."""
    core.import_balances(balances={asset.id: Decimal(value)}, source="plaid", on=on, at=AT)


def totals(portfolio):
    """Return {day: (assets, debts, estimated, missing)} with amounts as text."""
    found = stored(portfolio.id)[1]
    return {day: (f"{t.assets:.4f}", f"{t.debts:.4f}", t.estimated, t.missing) for day, t in found.items()}


@pytest.fixture
def owner(database):
    return make_tenant()


# What one asset's value of today becomes in the portfolio's currency, by rates (currency, days ago, units per euro).
CONVERSIONS = [
    # name, asset's currency, portfolio's currency, value, rates, (assets, debts, estimated, missing)
    ("own currency", "AUD", "AUD", "10.01", [], ("10.0100", "0.0000", False, 0)),
    ("own currency, without any rate", "NGN", "NGN", "10.01", [], ("10.0100", "0.0000", False, 0)),
    ("from the euro", "EUR", "AUD", "100", [("AUD", 0, "1.5904")], ("159.0400", "0.0000", False, 0)),
    ("to the euro", "AUD", "EUR", "100", [("AUD", 0, "1.5904")], ("62.8800", "0.0000", False, 0)),  # 62.877...
    ("cross rate", "USD", "AUD", "100", [("AUD", 0, "1.5904"), ("USD", 0, "1.1172")], ("142.3600", "0.0000", False, 0)),
    ("yen have no decimals", "EUR", "JPY", "1.01", [("JPY", 0, "175.68")], ("177.0000", "0.0000", False, 0)),  # 177.44
    ("dinars have three", "EUR", "KWD", "1", [("KWD", 0, "0.34567")], ("0.3460", "0.0000", False, 0)),
    ("half away from zero", "EUR", "AUD", "0.01", [("AUD", 0, "1.5")], ("0.0200", "0.0000", False, 0)),
    ("half away from zero, owed", "EUR", "AUD", "-0.01", [("AUD", 0, "1.5")], ("0.0000", "-0.0200", False, 0)),
    ("under half", "EUR", "AUD", "0.01", [("AUD", 0, "1.4999999999")], ("0.0100", "0.0000", False, 0)),
    (
        "exact half of a third",
        "USD",
        "AUD",
        "0.03",
        [("USD", 0, "3"), ("AUD", 0, "0.5")],
        ("0.0100", "0.0000", False, 0),
    ),
    ("finer than the minor unit", "AUD", "AUD", "-0.005", [], ("0.0000", "-0.0100", False, 0)),
    ("weekend", "EUR", "AUD", "1", [("AUD", 2, "1.6"), ("AUD", 9, "9")], ("1.6000", "0.0000", False, 0)),
    ("oldest fresh rate", "EUR", "AUD", "1", [("AUD", 5, "1.6")], ("1.6000", "0.0000", False, 0)),
    ("stale rate", "EUR", "AUD", "1", [("AUD", 6, "1.6")], ("1.6000", "0.0000", True, 0)),
    ("one of two stale", "USD", "AUD", "1", [("AUD", 0, "2"), ("USD", 6, "1")], ("2.0000", "0.0000", True, 0)),
    ("before the first rate", "EUR", "AUD", "1", [("AUD", -1, "1.6"), ("AUD", -2, "9")], ("1.6000", "0.0000", True, 0)),
    ("no rate", "NGN", "AUD", "1", [("AUD", 0, "1.6")], ("0.0000", "0.0000", False, 1)),
    ("no rate of the portfolio's", "EUR", "NGN", "1", [("AUD", 0, "1.6")], ("0.0000", "0.0000", False, 1)),
    ("too large", "EUR", "JPY", str(BIGGEST), [("JPY", 0, "175.68")], (f"{BIGGEST}", "0.0000", True, 0)),
    ("too large a debt", "EUR", "JPY", f"-{BIGGEST}", [("JPY", 0, "175.68")], ("0.0000", f"-{BIGGEST}", True, 0)),
]


@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case[0])
def test_conversion(owner, case):
    _, base, quote, value, rates, wanted = case
    add_rates({(currency, TODAY - dt.timedelta(days=ago)): rate for currency, ago, rate in rates})
    with tenant(owner.id):
        portfolio = make_portfolio(currency=quote)
        observe(make_asset(portfolio, currency=base), value)

    roll_up()

    assert totals(portfolio) == {TODAY: wanted}


# Values {day: value}, moves [(day, amount, pending)], closed on; the asset's days 20..23, "~" for estimated.
COURSES = [
    ("a value holds until the next", {19: "5", 22: "7"}, [], None, {19: "5", 20: "5", 21: "5", 22: "7", 23: "7"}),
    (
        "booked moves add up",
        {20: "5"},
        [(21, "1", False), (23, "-2", False)],
        None,
        {20: "5", 21: "6", 22: "6", 23: "4"},
    ),
    ("two moves in one day", {22: "5"}, [(23, "1", False), (23, "2", False)], None, {22: "5", 23: "8"}),
    ("pending ones don't", {22: "5"}, [(23, "1", True)], None, {22: "5", 23: "5"}),
    ("a value includes its day's moves", {22: "5", 23: "9"}, [(23, "1", False)], None, {22: "5", 23: "9"}),
    ("worked back", {23: "9"}, [(21, "1", False), (23, "3", False)], None, {21: "~6", 22: "~6", 23: "9"}),
    (
        "worked back without pending",
        {23: "9"},
        [(21, "1", False), (22, "2", True)],
        None,
        {21: "~9", 22: "~9", 23: "9"},
    ),
    ("worked back from tomorrow", {24: "9"}, [(22, "1", False), (24, "3", False)], None, {22: "~6", 23: "~6"}),
    ("moves alone are missing", {}, [(22, "1", False)], None, {}),
    ("tomorrow's alone are no history", {24: "9"}, [(25, "3", False)], None, {}),
    ("tomorrow's value waits", {22: "5", 24: "9"}, [(24, "3", False)], None, {22: "5", 23: "5"}),
    ("closed", {21: "5"}, [], 23, {21: "5", 22: "5"}),
    ("closed before it began", {22: "5"}, [], 20, {}),
    (
        "one absurd move after the other",
        {22: str(BIGGEST)},
        [(23, "1", False)],
        None,
        {22: str(BIGGEST), 23: f"~{BIGGEST}"},
    ),
]


@pytest.mark.parametrize("case", COURSES, ids=lambda case: case[0])
def test_course_of_an_asset(owner, case):
    _, values, moves, closed, wanted = case
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        for day, value in values.items():
            observe(asset, value, on=NOV[day])
        for day, amount, pending in moves:
            make_transaction(asset, on=NOV[day], amount=amount, pending=pending)
        if closed:
            core.close_assets(asset_ids=[asset.id], on=NOV[closed], at=AT)

    roll_up()

    found = {
        day: f"{'~' * worth.estimated}{worth.value.normalize():f}"
        for (_, day), worth in stored(portfolio.id)[0].items()
    }
    assert found == {NOV[day]: value for day, value in wanted.items()}


def test_totals_go_by_sign(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        account, card = (
            make_asset(portfolio, kind="bank_account"),
            make_asset(portfolio, kind="credit_card", side="debt"),
        )
        observe(account, "-30.50", on=NOV[22])  # overdrawn
        observe(card, "-10", on=NOV[22])
        observe(account, "5", on=NOV[23])
        observe(card, "2.25", on=NOV[23])  # overpaid

    roll_up()

    assert stored(portfolio.id)[1] == {
        NOV[22]: Total(Decimal(0), Decimal("-40.50"), False, 0),
        NOV[23]: Total(Decimal("7.25"), Decimal(0), False, 0),
    }


def test_closed_asset_keeps_its_history_and_the_days_go_on(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        observe(asset, "5", on=NOV[21])
    roll_up()
    with tenant(owner.id):
        core.close_assets(asset_ids=[asset.id], on=NOV[23], at=AT)

    assert roll_up() == Written(portfolios=1, asset_days=1, portfolio_days=1)

    assert totals(portfolio) == {
        NOV[21]: ("5.0000", "0.0000", False, 0),
        NOV[22]: ("5.0000", "0.0000", False, 0),
        NOV[23]: ("0.0000", "0.0000", False, 0),
    }


def test_house_is_carried_forward_every_day(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        house = make_asset(portfolio, kind="property")
        observe(house, "900000", on=dt.date(2024, 2, 28))
        observe(house, "950000", on=dt.date(2026, 11, 1))

    roll_up()

    days = stored(portfolio.id)[1]
    assert len(days) == (TODAY - dt.date(2024, 2, 28)).days + 1
    assert (days[dt.date(2024, 2, 29)].assets, days[dt.date(2026, 10, 31)].assets) == (900000, 900000)
    assert (days[NOV[1]].assets, days[TODAY].assets) == (950000, 950000)


# When it is `at` (UTC), which day does the history of a portfolio in the zone end on?
LAST_DAYS = [
    ("2026-11-22T10:59Z", "Pacific/Auckland", "2026-11-22"),
    ("2026-11-22T11:00Z", "Pacific/Auckland", "2026-11-23"),
    ("2026-11-22T11:00Z", "America/Los_Angeles", "2026-11-22"),
    ("2026-11-22T07:59Z", "America/Los_Angeles", "2026-11-21"),
    ("2026-11-22T18:14Z", "Asia/Kathmandu", "2026-11-22"),  # +05:45
    ("2026-11-22T18:15Z", "Asia/Kathmandu", "2026-11-23"),
    ("2026-10-03T13:59Z", "Australia/Sydney", "2026-10-03"),
    ("2026-10-03T14:00Z", "Australia/Sydney", "2026-10-04"),  # a day of 23 hours
    ("2026-10-04T12:59Z", "Australia/Sydney", "2026-10-04"),
    ("2026-10-04T13:00Z", "Australia/Sydney", "2026-10-05"),
    ("2026-04-05T13:59Z", "Australia/Sydney", "2026-04-05"),  # a day of 25 hours
    ("2026-04-05T14:00Z", "Australia/Sydney", "2026-04-06"),
    ("2026-09-06T03:59Z", "America/Santiago", "2026-09-05"),
    ("2026-09-06T04:00Z", "America/Santiago", "2026-09-06"),  # has no midnight: 23:59 is followed by 01:00
    ("2026-04-23T21:59Z", "Africa/Cairo", "2026-04-23"),
    ("2026-04-23T22:00Z", "Africa/Cairo", "2026-04-24"),  # has none either
]


@pytest.mark.parametrize(("at", "zone", "last_day"), LAST_DAYS)
def test_days_end_at_local_midnight(owner, at, zone, last_day):
    with tenant(owner.id):
        portfolio = make_portfolio(time_zone=zone)
        observe(make_asset(portfolio), "5", on=dt.date(2026, 3, 31))

    roll_up(dt.datetime.fromisoformat(at))

    assert max(stored(portfolio.id)[1]) == dt.date.fromisoformat(last_day)


def test_one_instant_is_two_days(owner):
    with tenant(owner.id):
        auckland = make_portfolio(time_zone="Pacific/Auckland")
        los_angeles = make_portfolio(time_zone="America/Los_Angeles")
        for portfolio in (auckland, los_angeles):
            asset = make_asset(portfolio)
            observe(asset, "5", on=NOV[22])
            observe(asset, "6", on=NOV[23])

    roll_up()

    assert totals(auckland) == {NOV[22]: ("5.0000", "0.0000", False, 0), NOV[23]: ("6.0000", "0.0000", False, 0)}
    assert totals(los_angeles) == {NOV[22]: ("5.0000", "0.0000", False, 0)}


def test_days_without_a_rollup_are_caught_up(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        observe(asset, "5")
        make_transaction(asset, on=NOV[25], amount="2")
    roll_up()

    assert roll_up(AT + dt.timedelta(days=3)) == Written(portfolios=1, asset_days=3, portfolio_days=3)

    assert [worth.value for _, worth in sorted(stored(portfolio.id)[0].items())] == [5, 5, 7, 7]


def test_newer_rates_redo_what_they_change(owner):
    add_rates({("AUD", NOV[19]): "1.5"})
    with tenant(owner.id):
        foreign, home = make_portfolio(), make_portfolio()
        observe(make_asset(foreign, currency="EUR"), "1", on=NOV[18])
        observe(make_asset(home), "1", on=NOV[18])
    roll_up()
    add_rates({("AUD", NOV[21]): "1.6"})

    assert roll_up() == Written(portfolios=1, portfolio_days=3)  # not the one without foreign money

    assert totals(foreign) == {
        NOV[18]: ("1.5000", "0.0000", True, 0),
        NOV[19]: ("1.5000", "0.0000", False, 0),
        NOV[20]: ("1.5000", "0.0000", False, 0),
        NOV[21]: ("1.6000", "0.0000", False, 0),
        NOV[22]: ("1.6000", "0.0000", False, 0),
        NOV[23]: ("1.6000", "0.0000", False, 0),
    }


@pytest.mark.parametrize(
    ("late", "changed"),
    [
        (
            {("AUD", NOV[19]): "1.7"},
            [NOV[18], NOV[19], NOV[20]],
        ),  # a correction of the first, which serves the 18th too
        ({("AUD", NOV[20]): "1.7"}, [NOV[20]]),  # a gap closed
        ({("AUD", NOV[2]): "1.7"}, [NOV[18]]),  # an earlier first rate
        ({("USD", NOV[21]): "1.7"}, []),  # another currency
    ],
)
def test_late_rates_of_past_days_redo_them(owner, late, changed):
    add_rates({("AUD", NOV[19]): "1.5", ("AUD", NOV[21]): "1.6"})
    with tenant(owner.id):
        portfolio = make_portfolio()
        observe(make_asset(portfolio, currency="EUR"), "1", on=NOV[18])
    roll_up()
    before = totals(portfolio)
    add_rates(late)

    assert roll_up() == Written(portfolios=1, portfolio_days=len(changed))

    after = totals(portfolio)
    assert [day for day in before if after[day] != before[day]] == changed


def test_first_rates_of_all_end_what_was_missing(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        observe(make_asset(portfolio, currency="EUR"), "1", on=NOV[21])
    roll_up()
    assert totals(portfolio) == dict.fromkeys([NOV[21], NOV[22], NOV[23]], ("0.0000", "0.0000", False, 1))
    add_rates({("AUD", NOV[22]): "1.6"})

    assert roll_up() == Written(portfolios=1, portfolio_days=3)

    assert totals(portfolio) == {
        NOV[21]: ("1.6000", "0.0000", True, 0),
        NOV[22]: ("1.6000", "0.0000", False, 0),
        NOV[23]: ("1.6000", "0.0000", False, 0),
    }


def test_another_currency_redoes_all(owner):
    add_rates({("AUD", NOV[20]): "1.5"})
    with tenant(owner.id):
        portfolio = make_portfolio()
        observe(make_asset(portfolio), "3", on=NOV[20])
    roll_up()
    with tenant(owner.id):
        core.update_portfolio(portfolio_id=portfolio.id, currency="EUR", at=AT)

    assert roll_up() == Written(portfolios=1, portfolio_days=4)

    with operator():
        rows = PortfolioDay.objects.order_by("day").values_list("currency", "assets")
        assert list(rows) == [("EUR", Decimal(2))] * 4


def test_another_time_zone_ends_on_another_day(owner):
    with tenant(owner.id):
        portfolio = make_portfolio(time_zone="Pacific/Auckland")
        observe(make_asset(portfolio), "3", on=NOV[22])
    roll_up()
    with tenant(owner.id):
        core.update_portfolio(portfolio_id=portfolio.id, time_zone="America/Los_Angeles", at=AT)

    assert roll_up() == Written(portfolios=1, asset_days=1, portfolio_days=1)

    assert list(totals(portfolio)) == [NOV[22]]


def test_removed_first_transaction_removes_its_days(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        observe(asset, "9", on=NOV[22])
        first = make_transaction(asset, on=NOV[20], amount="4")
        make_transaction(asset, on=NOV[21], amount="3")
    roll_up()
    assert list(totals(portfolio)) == [NOV[20], NOV[21], NOV[22], NOV[23]]
    with tenant(owner.id):
        core.import_transactions(source="plaid", upserts=[], removed=[first.external_id], at=AT)

    assert roll_up() == Written(portfolios=1, asset_days=1, portfolio_days=1)

    assert list(totals(portfolio)) == [NOV[21], NOV[22], NOV[23]]


def test_first_value_works_back_what_was_missing_before_it(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        make_transaction(asset, on=NOV[21], amount="4")
        make_transaction(asset, on=NOV[22], amount="3")
    roll_up()
    assert totals(portfolio) == dict.fromkeys([NOV[21], NOV[22], NOV[23]], ("0.0000", "0.0000", False, 1))
    with tenant(owner.id):
        observe(asset, "9")

    roll_up()

    assert totals(portfolio) == {
        NOV[21]: ("6.0000", "0.0000", True, 0),
        NOV[22]: ("9.0000", "0.0000", True, 0),
        NOV[23]: ("9.0000", "0.0000", False, 0),
    }


def test_bank_with_an_impossible_day_gets_no_history_before_the_earliest(owner, monkeypatch):
    monkeypatch.setattr(operations, "_EARLIEST", NOV[20])
    with tenant(owner.id):
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        observe(asset, "9")
    assert roll_up() == Written(portfolios=1, asset_days=1, portfolio_days=1)
    with tenant(owner.id):
        make_transaction(asset, on=dt.date(1, 1, 1), amount="4")

    assert roll_up() == Written(portfolios=1, asset_days=3, portfolio_days=3)

    assert list(totals(portfolio)) == [NOV[20], NOV[21], NOV[22], NOV[23]]


def test_second_run_writes_nothing(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        observe(make_asset(portfolio), "9", on=NOV[1])
    assert roll_up() == Written(portfolios=1, asset_days=23, portfolio_days=23)
    with operator():
        state = RollupState.objects.values("rolled_to", "rates_load").get()

    assert roll_up() == Written()

    with operator():
        assert Portfolio.objects.get().revalue_from is None
        assert (
            RollupState.objects.values("rolled_to", "rates_load").get()
            == state
            == {"rolled_to": TODAY, "rates_load": 0}
        )


def test_portfolio_that_is_gone_is_nothing_to_do(owner):
    with tenant(owner.id):
        assert operations.roll_up_portfolio(portfolio_id=uuid.uuid4(), at=AT) == Written()


def test_tenant_rolls_up_its_own_only(owner):
    other = make_tenant()
    with tenant(other.id):
        foreign = make_portfolio()
        observe(make_asset(foreign), "9")

    with tenant(owner.id):
        assert operations.roll_up_portfolio(portfolio_id=foreign.id, at=AT) == Written()

    with operator():
        assert not PortfolioDay.objects.exists()


def test_all_tenants_in_batches(owner, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 2)
    monkeypatch.setattr(operations, "_SOUGHT_AT_ONCE", 4)
    made = []
    for each in [owner, make_tenant(), make_tenant()]:
        with tenant(each.id):
            made += [make_portfolio(), make_portfolio(), make_portfolio()]
            observe(make_asset(made[-1]), "9", on=NOV[22])

    assert roll_up() == Written(portfolios=9, asset_days=6, portfolio_days=6)

    with operator():
        assert RollupState.objects.count() == 9
        assert AssetDay.objects.values("tenant").distinct().count() == 3
        job = Job.objects.get(kind=ROLL_UP_DUE.name)
        assert job.progress_done == 9


def test_statements_do_not_grow_with_the_batch(owner):
    add_rates({("AUD", NOV[22]): "1.5"})

    def statements(portfolios):
        with tenant(owner.id):
            for _ in range(portfolios):
                portfolio = make_portfolio()
                observe(make_asset(portfolio, currency="EUR"), "9", on=NOV[22])
                observe(make_asset(portfolio), "9", on=NOV[21])
        with operator():
            connection = connections["operator"]
        with CaptureQueriesContext(connection) as queries:
            assert roll_up().portfolios == portfolios
        return len(queries)

    assert statements(1) == statements(12)


def test_locked_portfolio_is_waited_for_at_the_end(owner):
    with tenant(owner.id):
        held, free = make_portfolio(), make_portfolio()
        for portfolio in (held, free):
            observe(make_asset(portfolio), "9")

    def roll_up_elsewhere() -> Written:
        try:
            return roll_up()
        finally:
            connections.close_all()

    with psycopg.connect(admin_dsn()) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT FROM core_portfolio WHERE id = %s FOR NO KEY UPDATE", [held.id])
        rolled_up = threads.submit(roll_up_elsewhere)
        deadline = time.monotonic() + 20
        while not totals(free):
            assert time.monotonic() < deadline
        assert totals(held) == {}
        other.rollback()

        assert rolled_up.result() == Written(portfolios=2, asset_days=2, portfolio_days=2)
    assert list(totals(held)) == [TODAY]


def test_batches_before_a_failing_one_stay(owner, monkeypatch, admin):
    monkeypatch.setattr(operations, "BATCH", 1)
    with tenant(owner.id):
        ids = sorted(make_portfolio().id for _ in range(3))
        for portfolio_id in ids:
            observe(make_asset(Portfolio.objects.get(id=portfolio_id)), "9")
    admin.execute(
        f"ALTER TABLE history_portfolioday ADD CONSTRAINT planted CHECK (portfolio_id <> '{ids[1]}') NOT VALID"
    )
    try:
        with pytest.raises(IntegrityError, match="planted"):
            roll_up()
    finally:
        admin.execute("ALTER TABLE history_portfolioday DROP CONSTRAINT planted")

    with operator():
        assert list(PortfolioDay.objects.values_list("portfolio_id", flat=True)) == [ids[0]]


def test_jobs_through_the_runner(owner, run_jobs):
    with tenant(owner.id):
        portfolio = make_portfolio()
        observe(make_asset(portfolio), "9", on=NOV[22])  # asks for core.revalue_portfolio
    with operator():
        platform_job = jobs.enqueue(kind=ROLL_UP_DUE, at=AT)

    assert run_jobs(now=lambda: AT) == 2

    assert list(totals(portfolio)) == [NOV[22], NOV[23]]
    with operator():
        states = dict(Job.objects.values_list("kind", "state"))
        assert states == {"core.revalue_portfolio": "succeeded", "history.roll_up_due": "succeeded"}
        assert platform_job.tenant_id is None


def imported(portfolio, external_id):
    """Return an asset that a bank keeps."""
    return core.import_asset(
        portfolio_id=portfolio.id, source="plaid", external_id=external_id, name="x", kind="other", side="asset",
        currency="AUD", institution="", at=AT,
    )  # fmt: skip


def test_banks_account_without_a_past_is_worked_back_to_where_the_banks_begin(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        everyday, pension = imported(portfolio, "everyday"), imported(portfolio, "pension")
        observe(everyday, "100.00")
        make_transaction(everyday, on=NOV[21], amount="10.00")
    roll_up()
    with tenant(owner.id):
        observe(pension, "500.00")  # linked later, and tells of today only
        observe(make_asset(portfolio, name="House"), "7000.00", on=NOV[22])  # kept by hand: it begins when it begins

    roll_up()

    assert totals(portfolio) == {
        NOV[21]: ("600.0000", "0.0000", True, 0),
        NOV[22]: ("7600.0000", "0.0000", True, 0),
        NOV[23]: ("7600.0000", "0.0000", False, 0),
    }


def test_banks_accounts_begin_earlier_while_a_bank_tells_of_earlier_days(owner):
    with tenant(owner.id):
        portfolio = make_portfolio()
        everyday, pension = imported(portfolio, "everyday"), imported(portfolio, "pension")
        observe(everyday, "100.00")
        observe(pension, "500.00", on=NOV[22])
    roll_up()
    assert list(totals(portfolio)) == [NOV[22], NOV[23]]

    with tenant(owner.id):
        first = make_transaction(everyday, on=NOV[20], amount="10.00")
    roll_up()
    assert list(totals(portfolio)) == [NOV[20], NOV[21], NOV[22], NOV[23]]
    assert totals(portfolio)[NOV[20]] == ("600.0000", "0.0000", True, 0)

    with tenant(owner.id):
        core.import_transactions(source="plaid", upserts=[], removed=[first.external_id], at=AT)
    roll_up()
    assert list(totals(portfolio)) == [NOV[22], NOV[23]]

"""The demo household is the same for the same bank and day, whenever and however often one looks."""

import contextlib
import datetime as dt
from decimal import Decimal

import pytest

from services.integration.sandbox import family
from services.integration.sandbox.institutions import INSTITUTIONS, KURRAJONG, WATTLE
from services.integration.sandbox.store import Store
from tests.contracts.bank import TODAY

DAY = dt.timedelta(days=1)


@pytest.fixture
def open_store(tmp_path):
    """Return a function that opens a store by name; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(contextlib.closing(Store(tmp_path / name)))


def household(store, item_id):
    """Return all that a person would see of an item, without the ids."""
    return {
        account.plan.name: (
            account.current,
            [
                (found.booked_on, found.authorised_on, found.amount, found.description, found.pending)
                for found in sorted(
                    store.transactions(account.account_id),
                    key=lambda found: (found.booked_on, found.description, found.amount, found.authorised_on),
                )
            ],
        )
        for account in store.accounts(item_id)
    }


@pytest.mark.parametrize("institution_id", INSTITUTIONS)
def test_the_same_bank_and_day_give_the_same_household(open_store, institution_id):
    households = []
    for name in ("one", "two"):
        store = open_store(name)
        item_id = store.link(institution_id, today=TODAY)
        store.catch_up(TODAY + 40 * DAY)
        households.append(household(store, item_id))

    assert households[0] == households[1]


@pytest.mark.parametrize("institution_id", INSTITUTIONS)
def test_catching_up_day_by_day_or_at_once_ends_the_same(open_store, institution_id):
    at_once, daily = open_store("at once"), open_store("daily")
    first, second = at_once.link(institution_id, today=TODAY), daily.link(institution_id, today=TODAY)

    at_once.catch_up(TODAY + 40 * DAY)
    for number in range(41):
        daily.catch_up(TODAY + number * DAY)

    assert household(at_once, first) == household(daily, second)


def test_two_links_to_one_bank_share_no_ids(open_store):
    store = open_store("store")
    items = [store.link(WATTLE.institution_id, today=TODAY) for _ in range(2)]

    ids = [
        {found.transaction_id for account in store.accounts(item) for found in store.transactions(account.account_id)}
        for item in items
    ]

    assert len(ids[0]) == len(ids[1])
    assert ids[0] & ids[1] == set()


def test_two_years_of_history_end_on_the_planned_balances(open_store):
    store = open_store("store")
    item_id = store.link(WATTLE.institution_id, today=TODAY)

    accounts = {account.plan.name: account for account in store.accounts(item_id)}
    days = [found.booked_on for account in accounts.values() for found in store.transactions(account.account_id)]

    assert {name: account.current for name, account in accounts.items()} == {
        "Wattle Everyday": Decimal("90892.32"),
        "Wattle Saver": Decimal("20510.14"),
        "Low Rate Platinum": Decimal("6972.71"),
        "Wattle Access": Decimal("25194.11"),
    }
    assert TODAY - 729 * DAY <= min(days) <= TODAY - 720 * DAY
    assert max(days) <= TODAY


@pytest.mark.parametrize("today", [TODAY, dt.date(2026, 11, 23), dt.date(2027, 8, 31), dt.date(2028, 2, 29)])
def test_no_account_was_ever_overdrawn_nor_the_card_over_its_limit(open_store, today):
    """Walked back from today's balances, the past is one that a bank would have allowed."""
    store = open_store("store")
    for institution_id in INSTITUTIONS:
        store.link(institution_id, today=today)

    for account in store.accounts():
        owed = 1 if account.plan.type in {"credit", "loan"} else -1
        balance = account.current
        for found in reversed(store.transactions(account.account_id)):
            assert balance > 0, (account.plan.name, found.booked_on)
            assert account.plan.limit_cents is None or balance * 100 <= account.plan.limit_cents
            balance -= 0 if found.pending else owed * found.amount


def test_a_card_purchase_is_pending_for_its_day_and_then_posted(open_store):
    store = open_store("store")
    item_id = store.link(WATTLE.institution_id, today=dt.date(2026, 3, 21))  # a Saturday: groceries
    card = next(account for account in store.accounts(item_id) if account.plan.key == "card")
    [pending] = [found for found in store.transactions(card.account_id) if found.description == "GREENLEAF GROCERS"][
        -1:
    ]

    store.catch_up(dt.date(2026, 3, 22))
    [posted] = [found for found in store.transactions(card.account_id) if found.pending_id == pending.transaction_id]

    assert (pending.pending, pending.booked_on) == (True, dt.date(2026, 3, 21))
    assert (posted.pending, posted.booked_on) == (False, dt.date(2026, 3, 22))
    assert (posted.authorised_on, posted.amount) == (dt.date(2026, 3, 21), pending.amount)
    assert card.pending >= pending.amount


def test_balances_move_by_what_is_posted(open_store):
    store = open_store("store")
    item_id = store.link(WATTLE.institution_id, today=TODAY)
    before = {account.account_id: account for account in store.accounts(item_id)}
    seen = {found.transaction_id for key in before for found in store.transactions(key)}

    store.catch_up(TODAY + 60 * DAY)

    for account in store.accounts(item_id):
        new = [found for found in store.transactions(account.account_id) if found.transaction_id not in seen]
        out = sum((found.amount for found in new if not found.pending), Decimal(0))
        owed = account.plan.type in {"credit", "loan"}
        assert len(new) > 0
        assert account.current == before[account.account_id].current + (out if owed else -out)


def test_both_sides_of_a_card_payment_are_the_same_amount():
    payments = [
        found.cents
        for found in family.movements(WATTLE.institution_id, dt.date(2026, 3, 25))
        if found.category == family.CARD
    ]

    assert len(payments) == 2
    assert payments[0] == -payments[1] > 0


def test_the_home_loan_asks_less_interest_each_year():
    interest = [
        sum(
            found.cents
            for found in family.movements("ins_900002", dt.date(year, 12, 31))
            if found.account_key == "home"
        )
        for year in (2024, 2025, 2026, 2060)
    ]

    assert interest[0] > interest[1] > interest[2] > interest[3] == 0


def test_superannuation_grows_without_transactions(open_store):
    store = open_store("store")
    item_id = store.link(KURRAJONG.institution_id, today=TODAY)
    [before] = store.accounts(item_id)

    store.catch_up(TODAY + 365 * DAY)

    [after] = store.accounts(item_id)
    assert store.transactions(after.account_id) == []
    assert before.current * Decimal("0.9") < after.current < before.current * Decimal("1.5")
    assert after.current != before.current


def test_a_day_already_lived_is_not_lived_again(open_store):
    store = open_store("store")
    item_id = store.link(WATTLE.institution_id, today=TODAY)
    store.catch_up(TODAY + 5 * DAY)
    once = household(store, item_id)

    store.catch_up(TODAY + 5 * DAY)
    store.catch_up(TODAY)

    assert household(store, item_id) == once

"""What the demo household does on any day: the same movements for the same bank and day, always.

Everything is drawn from a hash of bank, day and habit; nothing depends on state, on a clock or on the order of calls.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from services.integration.sandbox.institutions import BANKSIA, KURRAJONG, SEQUOIA, WATTLE

type Calendar = Callable[[dt.date], bool]

FRIDAY, SATURDAY, SUNDAY, WEDNESDAY = 4, 5, 6, 2
HOME_LOAN_REPAYMENT_CENTS = 161_200
HOME_LOAN_FIRST_PRINCIPAL_CENTS = 40_000
HOME_LOAN_MONTHLY_RATE = Decimal("0.005")
HOME_LOAN_BEGAN = dt.date(2020, 1, 1)

SALARY = "INCOME", "INCOME_WAGES"
INTEREST_EARNED = "INCOME", "INCOME_INTEREST_EARNED"
MOVED_IN = "TRANSFER_IN", "TRANSFER_IN_ACCOUNT_TRANSFER"
MOVED_OUT = "TRANSFER_OUT", "TRANSFER_OUT_ACCOUNT_TRANSFER"
MORTGAGE = "LOAN_PAYMENTS", "LOAN_PAYMENTS_MORTGAGE_PAYMENT"
LOAN = "LOAN_PAYMENTS", "LOAN_PAYMENTS_PERSONAL_LOAN_PAYMENT"
CARD = "LOAN_PAYMENTS", "LOAN_PAYMENTS_CREDIT_CARD_PAYMENT"
INTEREST_CHARGED = "BANK_FEES", "BANK_FEES_INTEREST_CHARGE"
ENERGY = "RENT_AND_UTILITIES", "RENT_AND_UTILITIES_GAS_AND_ELECTRICITY"
WATER = "RENT_AND_UTILITIES", "RENT_AND_UTILITIES_WATER"
INTERNET = "RENT_AND_UTILITIES", "RENT_AND_UTILITIES_INTERNET_AND_CABLE"
TELEPHONE = "RENT_AND_UTILITIES", "RENT_AND_UTILITIES_TELEPHONE"
INSURANCE = "GENERAL_SERVICES", "GENERAL_SERVICES_INSURANCE"
COUNCIL = "GOVERNMENT_AND_NON_PROFIT", "GOVERNMENT_AND_NON_PROFIT_TAX_PAYMENT"
GROCERIES = "FOOD_AND_DRINK", "FOOD_AND_DRINK_GROCERIES"
COFFEE = "FOOD_AND_DRINK", "FOOD_AND_DRINK_COFFEE"
RESTAURANT = "FOOD_AND_DRINK", "FOOD_AND_DRINK_RESTAURANT"
FUEL = "TRANSPORTATION", "TRANSPORTATION_GAS"
STREAMING = "ENTERTAINMENT", "ENTERTAINMENT_TV_AND_MOVIES"
PHARMACY = "MEDICAL", "MEDICAL_PHARMACIES_AND_SUPPLEMENTS"
CLOTHING = "GENERAL_MERCHANDISE", "GENERAL_MERCHANDISE_CLOTHING_AND_ACCESSORIES"
SOFTWARE = "GENERAL_SERVICES", "GENERAL_SERVICES_OTHER_GENERAL_SERVICES"


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement on one account, in Plaid's sign. A card purchase is pending for a day, the rest post at once."""

    account_key: str
    cents: int
    description: str
    merchant: str | None
    category: tuple[str, str]
    by_card: bool


@dataclass(frozen=True, slots=True)
class Habit:
    """A movement that recurs on the days that `falls_on` names, `chance` % of them, of `low` to `high` cents."""

    account_key: str
    falls_on: Calendar
    low: int
    high: int
    description: str
    category: tuple[str, str]
    merchant: str | None = None
    by_card: bool = False
    chance: int = 100


def monthly(day_of_month: int) -> Calendar:
    """Return a calendar of one day in each month."""
    return lambda day: day.day == day_of_month


def quarterly(day_of_month: int, *, first_month: int) -> Calendar:
    """Return a calendar of one day in every third month."""
    return lambda day: day.day == day_of_month and day.month % 3 == first_month % 3


def weekly(weekday: int) -> Calendar:
    """Return a calendar of one weekday; Monday is 0."""
    return lambda day: day.weekday() == weekday


def daily(_: dt.date) -> bool:
    """Return that every day counts."""
    return True


def month_end(day: dt.date) -> bool:
    """Return whether `day` is the last of its month."""
    return (day + dt.timedelta(days=1)).day == 1


def _purchase(
    falls_on: Calendar, low: int, high: int, merchant: str, category: tuple[str, str], *, chance: int = 100
) -> Habit:
    return Habit("card", falls_on, low, high, merchant.upper(), category, merchant, by_card=True, chance=chance)


HABITS: dict[str, tuple[Habit, ...]] = {
    WATTLE.institution_id: (
        Habit("everyday", monthly(15), -795_000, -795_000, "Salary Eucalypt Software", SALARY, "Eucalypt Software"),
        Habit("everyday", monthly(5), 161_200, 161_200, "Banksia Mutual home loan", MORTGAGE, "Banksia Mutual"),
        Habit("everyday", monthly(5), 12_000, 12_000, "Banksia Mutual personal loan", LOAN, "Banksia Mutual"),
        Habit("everyday", monthly(16), 50_000, 50_000, "Transfer to Wattle Saver", MOVED_OUT),
        Habit("saver", monthly(16), -50_000, -50_000, "Transfer from Wattle Everyday", MOVED_IN),
        Habit("saver", month_end, -8_100, -5_600, "Interest", INTEREST_EARNED),
        Habit("everyday", monthly(12), 30_000, 30_000, "Wattle Access repayment", LOAN),
        Habit("access", monthly(12), -30_000, -30_000, "Repayment, thank you", LOAN),
        Habit("access", month_end, 16_000, 18_500, "Interest charged", INTEREST_CHARGED),
        Habit("everyday", quarterly(10, first_month=2), 28_000, 46_000, "Southern Power", ENERGY, "Southern Power"),
        Habit("everyday", quarterly(18, first_month=1), 21_000, 29_000, "City Water", WATER, "City Water"),
        Habit("everyday", quarterly(27, first_month=2), 54_000, 54_000, "Council rates", COUNCIL),
        Habit("everyday", monthly(3), 8_900, 8_900, "Kelp Internet", INTERNET, "Kelp Internet"),
        Habit("everyday", monthly(7), 6_500, 6_500, "Larrikin Mobile", TELEPHONE, "Larrikin Mobile"),
        Habit("everyday", monthly(22), 21_440, 21_440, "Bluegum Insurance", INSURANCE, "Bluegum Insurance"),
        _purchase(weekly(SATURDAY), 12_000, 22_000, "Greenleaf Grocers", GROCERIES),
        _purchase(weekly(WEDNESDAY), 3_500, 9_500, "Greenleaf Grocers", GROCERIES),
        _purchase(daily, 480, 1_450, "Corner Cup", COFFEE, chance=40),
        _purchase(weekly(SUNDAY), 6_000, 9_500, "Harbour Fuel", FUEL, chance=50),
        _purchase(weekly(FRIDAY), 5_000, 13_000, "The Salty Galah", RESTAURANT, chance=60),
        _purchase(monthly(11), 1_999, 1_999, "Streamly", STREAMING),
        _purchase(daily, 900, 4_800, "Paperbark Pharmacy", PHARMACY, chance=6),
        _purchase(daily, 6_000, 19_000, "Thread and Tide", CLOTHING, chance=8),
        Habit("card", month_end, 6_100, 7_400, "Interest charged", INTEREST_CHARGED),
    ),
    BANKSIA.institution_id: (
        Habit("home", monthly(5), -161_200, -161_200, "Repayment received", MORTGAGE),
        Habit("holiday", monthly(5), -12_000, -12_000, "Repayment received", LOAN),
        Habit("holiday", month_end, 3_900, 4_300, "Interest charged", INTEREST_CHARGED),
        Habit("everyday", month_end, -5_200, -3_800, "Member interest", INTEREST_EARNED),
        Habit("everyday", weekly(SUNDAY), 1_800, 4_200, "Growers Market", GROCERIES, "Growers Market", chance=45),
    ),
    KURRAJONG.institution_id: (),
    SEQUOIA.institution_id: (
        Habit("checking", monthly(20), -92_000, -61_000, "Redwood Studios invoice", SALARY, "Redwood Studios"),
        Habit("checking", monthly(21), 25_000, 25_000, "Transfer to savings", MOVED_OUT),
        Habit("savings", monthly(21), -25_000, -25_000, "Transfer from checking", MOVED_IN),
        Habit("savings", month_end, -4_900, -3_600, "Interest paid", INTEREST_EARNED),
        _purchase(monthly(2), 2_900, 2_900, "Nimbus Hosting", SOFTWARE),
        _purchase(monthly(14), 5_400, 5_400, "Pixel Foundry", SOFTWARE),
        _purchase(weekly(WEDNESDAY), 1_200, 6_800, "Bay Books", CLOTHING, chance=35),
    ),
}  # fmt: skip
# Which account pays the credit card's purchases of the month before.
CARD_PAID_FROM = {WATTLE.institution_id: "everyday", SEQUOIA.institution_id: "checking"}
CARD_PAID_ON = monthly(25)


def movements(institution_id: str, day: dt.date) -> list[Movement]:
    """Return what the household does at a bank on `day`, in a fixed order."""
    found = list(_habitual(institution_id, day))
    if institution_id in CARD_PAID_FROM and CARD_PAID_ON(day):
        cents = _card_spending_cents(institution_id, day)
        payer = CARD_PAID_FROM[institution_id]
        found.append(Movement(payer, cents, "Credit card payment", None, CARD, by_card=False))
        found.append(Movement("card", -cents, "Payment, thank you", None, CARD, by_card=False))
    if institution_id == BANKSIA.institution_id and month_end(day):
        interest = _home_loan_interest_cents(day)
        found.append(Movement("home", interest, "Interest charged", None, INTEREST_CHARGED, by_card=False))
    return found


def drift_cents(institution_id: str, account_key: str, current_cents: int, day: dt.date) -> int:
    """Return by how much an account's balance changes on `day` without a transaction: markets and contributions."""
    if (institution_id, account_key) not in {
        (KURRAJONG.institution_id, "super"),
        (SEQUOIA.institution_id, "brokerage"),
    }:
        return 0
    if day.weekday() >= SATURDAY:
        return 0
    basis_points = _drawn(institution_id, day, f"market {account_key}", -88, 91)
    contribution = 98_000 if account_key == "super" and day.day == 10 else 0
    return current_cents * basis_points // 10_000 + contribution


def _habitual(institution_id: str, day: dt.date) -> Iterator[Movement]:
    for number, habit in enumerate(HABITS[institution_id]):
        if not habit.falls_on(day) or _drawn(institution_id, day, f"chance {number}", 1, 100) > habit.chance:
            continue
        cents = _drawn(institution_id, day, f"amount {number}", habit.low, habit.high)
        yield Movement(habit.account_key, cents, habit.description, habit.merchant, habit.category, habit.by_card)


def _card_spending_cents(institution_id: str, day: dt.date) -> int:
    """Return what the card was charged in the month before `day`'s."""
    last = day.replace(day=1) - dt.timedelta(days=1)
    days = (last.replace(day=number) for number in range(1, last.day + 1))
    return sum(found.cents for each in days for found in _habitual(institution_id, each) if found.account_key == "card")


def _home_loan_interest_cents(day: dt.date) -> int:
    """Return the month's interest of an annuity: as the principal's share grows, the interest's shrinks."""
    months = (day.year - HOME_LOAN_BEGAN.year) * 12 + day.month - HOME_LOAN_BEGAN.month
    principal = HOME_LOAN_FIRST_PRINCIPAL_CENTS * (1 + HOME_LOAN_MONTHLY_RATE) ** months
    return max(0, HOME_LOAN_REPAYMENT_CENTS - int(principal.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)))


def _drawn(institution_id: str, day: dt.date, what: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high` that is always the same for the same bank, day and purpose."""
    digest = hashlib.sha256(f"{institution_id}|{day.isoformat()}|{what}".encode()).digest()
    return low + int.from_bytes(digest[:8]) % (high - low + 1)

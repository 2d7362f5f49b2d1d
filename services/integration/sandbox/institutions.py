"""The banks of the simulator and the accounts that one household has there. All of them are invented.

Plaid's list of countries has no Australia, so all say that they are in the US, whatever their currency.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """An account as it stands on the day it is linked. Cents in Plaid's sign: what is owed is positive for a debt."""

    key: str
    name: str
    official_name: str
    mask: str
    type: str
    subtype: str
    closing_cents: int
    currency: str = "AUD"
    limit_cents: int | None = None


@dataclass(frozen=True, slots=True)
class InstitutionPlan:
    """A bank that can be linked."""

    institution_id: str
    name: str
    says: str
    accounts: tuple[AccountPlan, ...]
    routing_number: str  # begins with 99, as no real bank's does
    country_codes: tuple[str, ...] = ("US",)

    def account(self, key: str) -> AccountPlan:
        """Return the account called `key` inside this bank."""
        return next(plan for plan in self.accounts if plan.key == key)


WATTLE = InstitutionPlan(
    "ins_900001",
    "Wattle Bank",
    "Everyday account, savings, credit card and credit line (AUD)",
    (
        AccountPlan(
            "everyday", "Wattle Everyday", "Wattle Everyday Account", "0132", "depository", "checking", 9_089_232
        ),
        AccountPlan("saver", "Wattle Saver", "Wattle Bonus Saver", "0458", "depository", "savings", 2_051_014),
        AccountPlan(
            "card",
            "Low Rate Platinum",
            "Wattle Low Rate Platinum",
            "7719",
            "credit",
            "credit card",
            697_271,
            "AUD",
            1_500_000,
        ),
        AccountPlan("access", "Wattle Access", "Wattle Access Line", "2602", "loan", "line of credit", 2_519_411),
    ),
    "990000010",
)
BANKSIA = InstitutionPlan(
    "ins_900002",
    "Banksia Mutual",
    "Home loan, holiday loan and an everyday account (AUD)",
    (
        AccountPlan(
            "everyday", "Banksia Everyday", "Banksia Member Account", "3310", "depository", "checking", 3_460_075
        ),
        AccountPlan("home", "Home loan", "Banksia Variable Home Loan", "9004", "loan", "mortgage", 20_387_194),
        AccountPlan("holiday", "Loan for vacation", "Banksia Personal Loan", "9127", "loan", "consumer", 552_192),
    ),
    "990000020",
)
KURRAJONG = InstitutionPlan(
    "ins_900003",
    "Kurrajong Super",
    "Superannuation (AUD)",
    (AccountPlan("super", "Superannuation", "Kurrajong Super Growth", "5561", "investment", "retirement", 31_248_055),),
    "990000030",
)
SEQUOIA = InstitutionPlan(
    "ins_900004",
    "Sequoia Trust",
    "Checking, savings, credit card and brokerage (USD)",
    (
        AccountPlan(
            "checking",
            "Sequoia Checking",
            "Sequoia Simple Checking",
            "1184",
            "depository",
            "checking",
            1_820_477,
            "USD",
        ),
        AccountPlan(
            "savings", "Sequoia Savings", "Sequoia High Savings", "1185", "depository", "savings", 1_264_030, "USD"
        ),
        AccountPlan(
            "card", "Sequoia Card", "Sequoia Cash Card", "4402", "credit", "credit card", 84_216, "USD", 600_000
        ),
        AccountPlan(
            "brokerage",
            "Sequoia Brokerage",
            "Sequoia Self-Directed",
            "6620",
            "investment",
            "brokerage",
            2_764_310,
            "USD",
        ),
    ),
    "990000040",
)
INSTITUTIONS = {plan.institution_id: plan for plan in (WATTLE, BANKSIA, KURRAJONG, SEQUOIA)}

"""What the simulator keeps about accounts and transactions, as values. Plaid's sign throughout."""

import base64
import datetime as dt
import hashlib
import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from services.integration.sandbox.institutions import INSTITUTIONS, AccountPlan

# Every transaction with what names its account; a WHERE follows.
TRANSACTIONS = """
SELECT movement.*, account.key, item.institution_id
FROM movement
JOIN account ON account.id = movement.account_id
JOIN item ON item.id = account.item_id
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of an item. `current` is what is owed for a debt; `pending` is what pending ones will take out."""

    account_id: str
    item_id: str
    plan: AccountPlan
    current: Decimal
    pending: Decimal

    @property
    def available(self) -> Decimal | None:
        """What may be spent: the credit left, or the money less what is pending; None where Plaid tells nothing."""
        if self.plan.limit_cents is not None:
            return amount_of(self.plan.limit_cents) - self.current - self.pending
        return self.current - self.pending if self.plan.type == "depository" else None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as it stands now."""

    transaction_id: str
    account_id: str
    amount: Decimal
    currency: str
    booked_on: dt.date
    authorised_on: dt.date
    description: str
    merchant: str | None
    category: tuple[str, str]
    by_card: bool
    pending: bool
    pending_id: str | None


def cents_of(amount: Decimal) -> int:
    """Return `amount` in cents.

    Raises:
        ValueError: it has a fraction of a cent.
    """
    cents = amount.scaleb(2)
    if cents != cents.to_integral_value():
        msg = f"{amount} has a fraction of a cent"
        raise ValueError(msg)
    return int(cents)


def amount_of(cents: int) -> Decimal:
    """Return cents as an amount with two decimals."""
    return Decimal(cents).scaleb(-2)


def transaction_of(row: sqlite3.Row) -> Transaction:
    """Return a row of `TRANSACTIONS` as a value."""
    return Transaction(
        transaction_id=row["id"],
        account_id=row["account_id"],
        amount=amount_of(row["cents"]),
        currency=INSTITUTIONS[row["institution_id"]].account(row["key"]).currency,
        booked_on=dt.date.fromisoformat(row["booked_on"]),
        authorised_on=dt.date.fromisoformat(row["authorised_on"]),
        description=row["description"],
        merchant=row["merchant"],
        category=(row["category"], row["category_detail"]),
        by_card=bool(row["by_card"]),
        pending=bool(row["pending"]),
        pending_id=row["pending_id"],
    )


def derived_id(*parts: object) -> str:
    """Return an id like Plaid's: opaque, and the same for the same parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return base64.urlsafe_b64encode(digest[:27]).decode()

"""Accounts and their transactions: what the API shows, and what tests and the demo do to them. Plaid's sign."""

import datetime as dt
import secrets
from decimal import Decimal

from services.integration.sandbox import booking, family
from services.integration.sandbox.changes import Changes, changes, log
from services.integration.sandbox.database import Database
from services.integration.sandbox.entries import (
    TRANSACTIONS,
    Account,
    Transaction,
    amount_of,
    cents_of,
    derived_id,
    transaction_of,
)
from services.integration.sandbox.institutions import INSTITUTIONS, InstitutionPlan

UNCATEGORISED = ("GENERAL_MERCHANDISE", "GENERAL_MERCHANDISE_OTHER_GENERAL_MERCHANDISE")


class Ledger:
    """Reads and writes accounts and transactions; each call is one transaction of the file, or part of the caller's."""

    def __init__(self, database: Database) -> None:
        """Keep everything in `database`."""
        self._database = database

    def accounts(self, item_id: str | None = None) -> list[Account]:
        """Return the accounts of an item, or of every item that isn't removed, in the bank's order."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                """
                SELECT account.*, item.institution_id, (
                    SELECT COALESCE(SUM(cents), 0) FROM movement
                    WHERE account_id = account.id AND pending AND NOT removed
                ) AS pending_cents
                FROM account JOIN item ON item.id = account.item_id
                WHERE item.id = ?1 OR (?1 IS NULL AND NOT item.removed)
                ORDER BY account.rowid
                """,
                (item_id,),
            ).fetchall()
        return [
            Account(
                account_id=row["id"],
                item_id=row["item_id"],
                plan=INSTITUTIONS[row["institution_id"]].account(row["key"]),
                current=amount_of(row["current_cents"]),
                pending=amount_of(row["pending_cents"]),
            )
            for row in rows
        ]

    def transactions(self, account_id: str) -> list[Transaction]:
        """Return an account's transactions that weren't removed, oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"{TRANSACTIONS} WHERE account.id = ? AND NOT movement.removed ORDER BY booked_on, movement.rowid",
                (account_id,),
            ).fetchall()
        return [transaction_of(row) for row in rows]

    def set_balance(self, account_id: str, current: Decimal) -> None:
        """Set what the bank says is there (or owed), whatever the transactions say."""
        with self._database.transaction() as connection:
            booking.account_row(connection, account_id)
            connection.execute("UPDATE account SET current_cents = ? WHERE id = ?", (cents_of(current), account_id))

    def add_transaction(
        self,
        account_id: str,
        amount: Decimal,
        on: dt.date,
        description: str,
        *,
        pending: bool = False,
        merchant: str | None = None,
        category: tuple[str, str] = UNCATEGORISED,
    ) -> str:
        """Add a transaction of `amount` (positive goes out) and return its id; a pending one leaves the balance."""
        transaction_id = secrets.token_urlsafe(24)
        entry = family.Movement("", cents_of(amount), description, merchant, category, by_card=pending)
        with self._database.transaction() as connection:
            booking.add(connection, booking.Entry(transaction_id, account_id, entry, on, on, pending))
        return transaction_id

    def post_pending(self, transaction_id: str, on: dt.date, *, amount: Decimal | None = None) -> str:
        """Replace a pending transaction by a posted one, with another `amount` if given; return the new id."""
        posted_id = secrets.token_urlsafe(24)
        with self._database.transaction() as connection:
            booking.post(connection, transaction_id, posted_id, on, None if amount is None else cents_of(amount))
        return posted_id

    def modify_transaction(
        self, transaction_id: str, *, amount: Decimal | None = None, description: str | None = None
    ) -> None:
        """Change a transaction; a posted one's balance follows."""
        with self._database.transaction() as connection:
            row = booking.movement_row(connection, transaction_id)
            cents = row["cents"] if amount is None else cents_of(amount)
            if not row["pending"]:
                booking.move_balance(connection, row["account_id"], cents - row["cents"])
            connection.execute(
                "UPDATE movement SET cents = ?, description = COALESCE(?, description) WHERE id = ?",
                (cents, description, transaction_id),
            )
            log(connection, row["account_id"], transaction_id, "modified")

    def remove_transaction(self, transaction_id: str) -> None:
        """Take a transaction back; a posted one's balance follows."""
        with self._database.transaction() as connection:
            booking.remove(connection, booking.movement_row(connection, transaction_id))

    def open_accounts(self, item_id: str, institution: InstitutionPlan, *, today: dt.date, history_days: int) -> None:
        """Open the bank's accounts with `history_days` days of transactions that end in today's planned balances."""
        with self._database.transaction() as connection:
            for plan in institution.accounts:
                connection.execute(
                    "INSERT INTO account (id, item_id, key, current_cents) VALUES (?, ?, ?, 0)",
                    (derived_id(item_id, plan.key), item_id, plan.key),
                )
            for days in reversed(range(history_days)):
                booking.live_through(
                    connection, item_id, institution, today - booking.ONE_DAY * days, is_today=days == 0
                )
            for plan in institution.accounts:
                connection.execute(
                    "UPDATE account SET current_cents = ? WHERE id = ?",
                    (plan.closing_cents, derived_id(item_id, plan.key)),
                )

    def live_until(self, item_id: str, institution: InstitutionPlan, *, since: dt.date, today: dt.date) -> None:
        """Live through each day after `since` up to `today`: what was pending posts, balances move, markets drift."""
        with self._database.transaction() as connection:
            day = since
            while day < today:
                day += booking.ONE_DAY
                booking.live_through(connection, item_id, institution, day, is_today=day == today)
                for account in self.accounts(item_id):
                    cents = cents_of(account.current)
                    drift = family.drift_cents(institution.institution_id, account.plan.key, cents, day)
                    if drift:
                        connection.execute(
                            "UPDATE account SET current_cents = ? WHERE id = ?", (cents + drift, account.account_id)
                        )

    def changes(self, item_id: str, cursor: str, count: int) -> Changes:
        """Return one page of what `changes.changes` finds."""
        with self._database.transaction() as connection:
            return changes(connection, item_id, cursor, count)

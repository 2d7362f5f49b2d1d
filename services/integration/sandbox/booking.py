"""Write transactions: each one moves its account's balance and leaves a line in the log of changes."""

import datetime as dt
import sqlite3
from dataclasses import dataclass

from services.integration.sandbox import family
from services.integration.sandbox.changes import log
from services.integration.sandbox.entries import derived_id
from services.integration.sandbox.institutions import INSTITUTIONS, InstitutionPlan

DEBTS = frozenset(("credit", "loan"))
ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction to write; `pending_id` is the one that it replaces."""

    transaction_id: str
    account_id: str
    movement: family.Movement
    booked_on: dt.date
    authorised_on: dt.date
    pending: bool
    pending_id: str | None = None


def live_through(
    connection: sqlite3.Connection, item_id: str, institution: InstitutionPlan, day: dt.date, *, is_today: bool
) -> None:
    """Book one day: yesterday's card purchases and the day's other movements; today's purchases are pending."""
    yesterday = day - ONE_DAY
    for number, movement in enumerate(family.movements(institution.institution_id, yesterday)):
        if movement.by_card:
            _book_purchase(connection, item_id, movement, yesterday, number)
    for number, movement in enumerate(family.movements(institution.institution_id, day)):
        if movement.by_card and not is_today:
            continue
        account_id = derived_id(item_id, movement.account_key)
        purpose = "pending" if movement.by_card else "posted"
        transaction_id = derived_id(account_id, day, number, purpose)
        add(connection, Entry(transaction_id, account_id, movement, day, day, pending=movement.by_card))


def _book_purchase(
    connection: sqlite3.Connection, item_id: str, movement: family.Movement, day: dt.date, number: int
) -> None:
    """Post the purchase made on `day`, in place of its pending transaction where one was shown."""
    account_id = derived_id(item_id, movement.account_key)
    pending_id = derived_id(account_id, day, number, "pending")
    posted_id = derived_id(account_id, day, number, "posted")
    shown = connection.execute("SELECT removed FROM movement WHERE id = ?", (pending_id,)).fetchone()
    if shown is None:
        add(connection, Entry(posted_id, account_id, movement, day + ONE_DAY, day, pending=False))
    elif not shown["removed"]:
        post(connection, pending_id, posted_id, day + ONE_DAY, None)


def add(connection: sqlite3.Connection, entry: Entry) -> None:
    """Write a new transaction."""
    movement = entry.movement
    connection.execute(
        "INSERT INTO movement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            entry.transaction_id,
            entry.account_id,
            movement.cents,
            entry.booked_on.isoformat(),
            entry.authorised_on.isoformat(),
            movement.description,
            movement.merchant,
            *movement.category,
            movement.by_card,
            entry.pending,
            entry.pending_id,
        ),
    )
    log(connection, entry.account_id, entry.transaction_id, "added")
    if not entry.pending:
        move_balance(connection, entry.account_id, movement.cents)


def post(connection: sqlite3.Connection, pending_id: str, posted_id: str, on: dt.date, cents: int | None) -> None:
    """Replace a pending transaction by a posted one, with another amount if `cents` is given."""
    row = movement_row(connection, pending_id)
    if not row["pending"]:
        msg = f"{pending_id} isn't pending"
        raise ValueError(msg)
    movement = family.Movement(
        account_key="",
        cents=row["cents"] if cents is None else cents,
        description=row["description"],
        merchant=row["merchant"],
        category=(row["category"], row["category_detail"]),
        by_card=bool(row["by_card"]),
    )
    authorised_on = dt.date.fromisoformat(row["authorised_on"])
    remove(connection, row)
    add(connection, Entry(posted_id, row["account_id"], movement, on, authorised_on, False, pending_id))


def remove(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take the transaction of `row` back."""
    connection.execute("UPDATE movement SET removed = 1 WHERE id = ?", (row["id"],))
    log(connection, row["account_id"], row["id"], "removed")
    if not row["pending"]:
        move_balance(connection, row["account_id"], -row["cents"])


def move_balance(connection: sqlite3.Connection, account_id: str, cents_out: int) -> None:
    """Money that goes out makes a debt larger and anything else smaller."""
    account = account_row(connection, account_id)
    plan = INSTITUTIONS[account["institution_id"]].account(account["key"])
    change = cents_out if plan.type in DEBTS else -cents_out
    connection.execute("UPDATE account SET current_cents = current_cents + ? WHERE id = ?", (change, account_id))


def account_row(connection: sqlite3.Connection, account_id: str) -> sqlite3.Row:
    """Return an account with its bank; raises KeyError when there is none."""
    return _the_row(
        connection,
        "SELECT account.*, item.institution_id FROM account JOIN item ON item.id = item_id WHERE account.id = ?",
        account_id,
    )


def movement_row(connection: sqlite3.Connection, transaction_id: str) -> sqlite3.Row:
    """Return a transaction that isn't removed; raises KeyError when there is none."""
    return _the_row(connection, "SELECT * FROM movement WHERE id = ? AND NOT removed", transaction_id)


def _the_row(connection: sqlite3.Connection, query: str, key: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(query, (key,)).fetchone()
    if row is None:
        raise KeyError(key)
    return row

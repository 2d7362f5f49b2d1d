"""The append-only log of changes, and what `/transactions/sync` reads from it."""

import base64
import json
import sqlite3
from dataclasses import dataclass

from services.integration.sandbox.entries import Transaction, transaction_of
from services.integration.sandbox.problems import Problem

# A transaction that came and went within the range was never seen, so it isn't reported as removed either.
_CHANGES = """
SELECT movement.*, account.key, item.institution_id,
    MAX(change.sequence) AS last, MAX(change.kind = 'added') AS is_new
FROM change
JOIN movement ON movement.id = change.movement_id
JOIN account ON account.id = movement.account_id
JOIN item ON item.id = account.item_id
WHERE change.item_id = :item AND change.sequence > :began AND change.sequence <= :end
GROUP BY change.movement_id
HAVING last > :position AND NOT (is_new AND movement.removed)
ORDER BY last
LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of changes; `removed` holds (transaction id, account id)."""

    added: list[Transaction]
    modified: list[Transaction]
    removed: list[tuple[str, str]]
    next_cursor: str
    has_more: bool


def log(connection: sqlite3.Connection, account_id: str, transaction_id: str, kind: str) -> None:
    """Note what happened to a transaction, for every later sync."""
    connection.execute(
        "INSERT INTO change (item_id, movement_id, kind) SELECT item_id, ?, ? FROM account WHERE id = ?",
        (transaction_id, kind, account_id),
    )


def changes(connection: sqlite3.Connection, item_id: str, cursor: str, count: int) -> Changes:
    """Return at most `count` changes after `cursor` (empty: from the beginning), each transaction once, as it is now.

    A cursor holds where its pagination began, where it is and where it ends, so nothing is kept for it here.

    Raises:
        Problem: the cursor isn't one of this item's, or the log has grown since its pagination began.
    """
    latest = connection.execute(
        "SELECT COALESCE(MAX(sequence), 0) FROM change WHERE item_id = ?", (item_id,)
    ).fetchone()[0]
    began, position, end = _positions(item_id, cursor)
    if position < end < latest:
        raise Problem(
            "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION",
            "Underlying transaction data changed since last page was fetched. Please restart pagination.",
        )
    if position == end:
        began, end = position, latest
    rows = connection.execute(
        _CHANGES, {"item": item_id, "began": began, "position": position, "end": end, "limit": count + 1}
    ).fetchall()
    page = rows[:count]
    has_more = len(rows) > count
    next_cursor = _cursor(item_id, began, page[-1]["last"], end) if has_more else _cursor(item_id, end, end, end)
    return Changes(
        added=[transaction_of(row) for row in page if row["is_new"]],
        modified=[transaction_of(row) for row in page if not row["is_new"] and not row["removed"]],
        removed=[(row["id"], row["account_id"]) for row in page if row["removed"]],
        next_cursor=next_cursor,
        has_more=has_more,
    )


def _cursor(item_id: str, began: int, position: int, end: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([item_id, began, position, end]).encode()).decode()


def _positions(item_id: str, cursor: str) -> tuple[int, int, int]:
    if not cursor:
        return 0, 0, 0
    try:
        owner, began, position, end = json.loads(base64.urlsafe_b64decode(cursor))
        positions = int(began), int(position), int(end)
    except (ValueError, TypeError):
        raise Problem("INVALID_FIELD", "cursor is not one of ours") from None
    if owner != item_id:
        raise Problem("INVALID_FIELD", "cursor belongs to another item")
    return positions

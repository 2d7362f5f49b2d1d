"""The simulator's own SQLite file: every acknowledged change survives a kill of the process."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS link_token (
    token TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    client_name TEXT NOT NULL,
    language TEXT NOT NULL,
    country_codes TEXT NOT NULL,
    products TEXT NOT NULL,
    webhook TEXT,
    completion_redirect_uri TEXT,
    history_days INTEGER NOT NULL,
    renews_item_id TEXT,
    session_id TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    public_token TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS highlight (
    token TEXT PRIMARY KEY REFERENCES link_token (token),
    routing_number TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS item (
    id TEXT PRIMARY KEY,
    institution_id TEXT NOT NULL,
    access_token TEXT UNIQUE,
    webhook TEXT,
    caught_up_on TEXT NOT NULL,
    login_required INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS public_token (
    token TEXT PRIMARY KEY,
    item_id TEXT NOT NULL REFERENCES item (id),
    expires_at TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS account (
    id TEXT PRIMARY KEY,
    item_id TEXT NOT NULL REFERENCES item (id),
    key TEXT NOT NULL,
    current_cents INTEGER NOT NULL,
    UNIQUE (item_id, key)
) STRICT;
CREATE TABLE IF NOT EXISTS movement (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    cents INTEGER NOT NULL,
    booked_on TEXT NOT NULL,
    authorised_on TEXT NOT NULL,
    description TEXT NOT NULL,
    merchant TEXT,
    category TEXT NOT NULL,
    category_detail TEXT NOT NULL,
    by_card INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    pending_id TEXT,
    removed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS movement_of_account ON movement (account_id);
CREATE TABLE IF NOT EXISTS change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL REFERENCES item (id),
    movement_id TEXT NOT NULL REFERENCES movement (id),
    kind TEXT NOT NULL CHECK (kind IN ('added', 'modified', 'removed'))
) STRICT;
CREATE INDEX IF NOT EXISTS change_of_item ON change (item_id, sequence);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    error_code TEXT NOT NULL
) STRICT;
"""


class Database:
    """One connection, used by one thread at a time. Another process may have the same file open."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it."""
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection; commit at the end of the outermost block, roll back when it raises."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

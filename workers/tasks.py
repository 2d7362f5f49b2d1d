"""All tasks, for a worker to import; nothing else imports them."""

from workers import bank_sync, history_rollup, rates

__all__ = ["bank_sync", "history_rollup", "rates"]

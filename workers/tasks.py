"""All tasks, for a worker to import; nothing else imports them."""

from workers import bank_sync, cleanup, history_rollup, media, rates, sign_in

__all__ = ["bank_sync", "cleanup", "history_rollup", "media", "rates", "sign_in"]

"""Receipts: what was bought, where, for how much, and which transaction paid it."""

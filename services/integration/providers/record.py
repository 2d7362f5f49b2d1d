"""Read an outside service's JSON field by field: a malformed answer is one named error and never a traceback."""

import datetime as dt
from decimal import Decimal
from typing import Any

LARGEST_EXPONENT = 15


class Malformed(ValueError):
    """An answer lacks a field, or has one of another type. Names the field, never its value."""


class Record:
    """One JSON object. Every reader raises `Malformed` when the field is absent or of another type."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Any) -> None:
        """Wrap a parsed JSON value that must be an object."""
        if not isinstance(fields, dict):
            msg = "not an object"
            raise Malformed(msg)
        self._fields: dict[str, Any] = fields

    def text(self, name: str) -> str:
        """Return a text that may not be null."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise Malformed(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a text; None when it's null or absent."""
        return None if self._fields.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Return a boolean."""
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise Malformed(name)
        return value

    def count(self, name: str) -> int:
        """Return a whole number."""
        value = self._fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Malformed(name)
        return value

    def count_or_none(self, name: str) -> int | None:
        """Return a whole number; None when it's null or absent."""
        return None if self._fields.get(name) is None else self.count(name)

    def amount(self, name: str) -> Decimal:
        """Return an exact amount, in the service's own sign."""
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Malformed(name)
        amount = Decimal(value)
        if abs(amount.adjusted()) > LARGEST_EXPONENT:
            raise Malformed(name)
        return amount

    def amount_or_none(self, name: str) -> Decimal | None:
        """Return an exact amount; None when it's null or absent."""
        return None if self._fields.get(name) is None else self.amount(name)

    def day(self, name: str) -> dt.date:
        """Return a calendar day, local to the account."""
        try:
            return dt.date.fromisoformat(self.text(name))
        except ValueError:
            raise Malformed(name) from None

    def day_or_none(self, name: str) -> dt.date | None:
        """Return a calendar day; None when it's null or absent."""
        return None if self._fields.get(name) is None else self.day(name)

    def moment(self, name: str) -> dt.datetime:
        """Return a moment, aware, in UTC."""
        try:
            moment = dt.datetime.fromisoformat(self.text(name))
        except ValueError:
            raise Malformed(name) from None
        if moment.tzinfo is None:
            raise Malformed(name)
        return moment.astimezone(dt.UTC)

    def record(self, name: str) -> "Record":
        """Return an object inside this one."""
        return Record(self._fields.get(name))

    def record_or_none(self, name: str) -> "Record | None":
        """Return an object inside this one; None when it's null or absent."""
        return None if self._fields.get(name) is None else self.record(name)

    def records(self, name: str) -> list["Record"]:
        """Return a list of objects."""
        return [Record(value) for value in self._list(name)]

    def records_if_any(self, name: str) -> list["Record"]:
        """Return a list of objects; empty when it's null or absent."""
        return [] if self._fields.get(name) is None else self.records(name)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise Malformed(name)
        return values

    def texts_if_any(self, name: str) -> list[str]:
        """Return a list of texts; empty when it's null or absent."""
        return [] if self._fields.get(name) is None else self.texts(name)

    def _list(self, name: str) -> list[Any]:
        value = self._fields.get(name)
        if not isinstance(value, list):
            raise Malformed(name)
        return value

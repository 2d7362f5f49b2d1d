"""Pages of long lists, by cursor: stable while rows are added, and as fast on the last page as on the first."""

import base64
from dataclasses import dataclass
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from fatfire.kit.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some items of a list, and where the next ones begin (None: these were the last)."""

    items: list[T]
    next_cursor: str | None


def paginate(
    rows: QuerySet[Any, Any], *, order: tuple[str, ...], cursor: str | None, limit: int = DEFAULT_LIMIT
) -> Page[Any]:
    """Return the page of `rows` after `cursor`, in `order`.

    `order` is names of fields, never NULL and unique together, of one direction (all with "-" or none). `rows` may be
    of models or of values() that contain those fields.

    Raises:
        InvalidInput: the cursor isn't one of ours, or the limit isn't from 1 to MAX_LIMIT.
    """
    if not 1 <= limit <= MAX_LIMIT:
        msg = f"A page has from 1 to {MAX_LIMIT} items."
        raise InvalidInput(msg, field="limit")
    descending = order[0].startswith("-")
    names = [name.removeprefix("-") for name in order]
    rows = rows.order_by(*order)
    if cursor is not None:
        compare = TupleLessThan if descending else TupleGreaterThan
        rows = rows.filter(compare(Tuple(*names), _decode(cursor, rows.model, names)))
    items = list(rows[: limit + 1])
    if len(items) <= limit:
        return Page(items, None)
    last = items[limit - 1]
    values = [last[name] if isinstance(last, dict) else getattr(last, name) for name in names]
    return Page(items[:limit], _encode(values))


def _encode(values: list[Any]) -> str:
    # Naive moments as UTC and amounts as text: what was decoded is compared with what it encodes to.
    text = orjson.dumps(values, default=str, option=orjson.OPT_NAIVE_UTC)
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _decode(cursor: str, model: type[Model], names: list[str]) -> tuple[Any, ...]:
    """Return the ordering values in the cursor: each of its field's type, all exactly as we would have written them."""
    try:
        given = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fields: list[Any] = [model._meta.get_field(name) for name in names]
        values = [field.to_python(value) for field, value in zip(fields, given, strict=True)]
        if _encode(values) != cursor or any(value is None or "\0" in str(value) for value in values):
            raise ValueError
    except (ArithmeticError, TypeError, ValueError, ValidationError) as error:
        msg = "This cursor is not from an earlier page of this list."
        raise InvalidInput(msg, field="cursor") from error
    return tuple(values)

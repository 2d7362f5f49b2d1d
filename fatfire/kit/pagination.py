"""Pages of long lists, by cursor: stable while rows are added, and as fast on the last page as on the first."""

import base64
import binascii
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
    """Return the page of `rows` after `cursor`, in `order`: field names of one direction (all with "-" or none), unique together.

    `rows` may be of models or of values() that contain the ordering fields.

    Raises:
        InvalidInput: the cursor isn't one of ours.
    """
    descending = order[0].startswith("-")
    names = [name.removeprefix("-") for name in order]
    rows = rows.order_by(*order)
    if cursor is not None:
        compare = TupleLessThan if descending else TupleGreaterThan
        rows = rows.filter(compare(Tuple(*names), _decode(cursor, rows.model, names)))  # type: ignore[no-untyped-call]
    items = list(rows[: limit + 1])
    if len(items) <= limit:
        return Page(items, None)
    last = items[limit - 1]
    values = [last[name] if isinstance(last, dict) else getattr(last, name) for name in names]
    return Page(items[:limit], base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("="))


def _decode(cursor: str, model: type[Model], names: list[str]) -> tuple[Any, ...]:
    """Return the ordering values in the cursor, each checked by its field."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(names):
            raise ValueError
        pairs = zip(names, values, strict=True)
        return tuple(model._meta.get_field(name).to_python(value) for name, value in pairs)
    except (ValueError, binascii.Error, ValidationError) as error:
        msg = "This cursor is not from an earlier page of this list."
        raise InvalidInput(msg, field="cursor") from error

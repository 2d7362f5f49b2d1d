"""Frozen dataclasses as JSON and back: for rows, files, and the pipe to the child process."""

import dataclasses
import types
import typing
from enum import Enum
from fractions import Fraction
from typing import Any

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


def to_json(value: object) -> Json:
    """Return what `json.dumps` takes for a dataclass of plain values, fractions ("3/4"), tuples and dataclasses."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON here")


def from_json[T](kind: type[T], value: Any) -> T:
    """Return the value of this type that `to_json` made `value` of.

    Raises:
        TypeError, ValueError, KeyError: it isn't one.
    """
    return typing.cast("T", _from_json(kind, value))


def _from_json(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        some = next(each for each in arguments if each is not type(None))
        return None if value is None else _from_json(some, value)
    if origin is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_from_json(each, part) for each, part in zip(kinds, value, strict=True))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        # A field that came with a later release has its default in what an earlier one wrote.
        old = {field.name for field in dataclasses.fields(kind) if _has_default(field)} - set(value)
        given = {name: _from_json(hint, value[name]) for name, hint in hints.items() if name not in old}
        return typing.cast("Any", kind)(**given)
    if issubclass(kind, Fraction | Enum):
        return kind(value)
    if not isinstance(value, int if kind is float and type(value) is int else kind):
        raise TypeError(f"{value!r} isn't of type {kind.__name__}")
    return value


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING

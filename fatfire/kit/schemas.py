"""The parts that the services' API schemas are made of."""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fatfire.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT


def _require_iso(value: object) -> object:
    """Refuse what pydantic would take for a day as well: seconds since 1970, and moments."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        msg = "a day is written YYYY-MM-DD"
        raise ValueError(msg)
    return value


type Day = Annotated[dt.date, BeforeValidator(_require_iso)]
type CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["AUD"])]
type Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=4, allow_inf_nan=False)]
type AmountText = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$", examples=["1265594.40"])]


class Body(BaseModel):
    """A request's body; what it doesn't declare is refused."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(BaseModel):
    """Which page of a list: `cursor` is the `next_cursor` of the page before."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=400)


class PageOf[T](BaseModel):
    """A page of a list; without `next_cursor` it is the last."""

    items: list[T]
    next_cursor: str | None

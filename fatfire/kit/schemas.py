"""The parts that the services' API schemas are made of."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fatfire.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT

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

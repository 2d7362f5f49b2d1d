"""What the API gives for exchange rates."""

import datetime as dt
from typing import Annotated

from ninja import Schema
from pydantic import Field

from fatfire.kit.schemas import CurrencyCode


class RateOut(Schema):
    """One unit of `base` in units of `quote`, to ten decimals.

    `on` is the day of the rate, which may be before the day asked for.
    """

    base: CurrencyCode
    quote: CurrencyCode
    rate: Annotated[str, Field(pattern=r"^\d+\.\d{10}$", examples=["0.7024647887"])]
    on: dt.date
    estimated: bool

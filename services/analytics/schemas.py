"""What the API gives for the history of a portfolio or an asset. Money is text, exact."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Self

from ninja import Schema
from pydantic import Field

from fatfire.kit.money import to_text
from fatfire.kit.schemas import AmountText, CurrencyCode
from services.analytics.queries import Change, Difference, Totals


class DayOut(Schema):
    """What a portfolio was worth at the end of a day: debts ≤ 0, assets + debts = net_worth.

    `estimated`: a value or rate is an estimate. `missing`: how many assets are left out, as nobody knows their worth.
    """

    day: dt.date
    assets: AmountText
    debts: AmountText
    net_worth: AmountText
    estimated: bool
    missing: int

    @classmethod
    def of(cls, totals: Totals, currency: str) -> Self:
        """Return what is shown of a day in `currency`."""
        return cls(
            day=totals.day,
            assets=to_text(totals.assets, currency),
            debts=to_text(totals.debts, currency),
            net_worth=to_text(totals.net_worth, currency),
            estimated=totals.estimated,
            missing=totals.missing,
        )


class HistoryOut(Schema):
    """A portfolio's worth day by day, oldest first, in `currency`."""

    currency: CurrencyCode
    days: list[DayOut]


class AssetDayOut(Schema):
    """What an asset was worth at the end of a day."""

    day: dt.date
    value: AmountText
    estimated: bool


class AssetHistoryOut(Schema):
    """An asset's worth day by day, oldest first, in `currency`: its own, where none was asked for."""

    currency: CurrencyCode
    days: list[AssetDayOut]


class DifferenceOut(Schema):
    """How a figure changed; `percent` is of its starting size, absent where that was zero."""

    absolute: AmountText
    percent: Annotated[str, Field(pattern=r"^-?\d+\.\d\d$")] | None

    @classmethod
    def of(cls, difference: Difference, currency: str) -> Self:
        """Return what is shown of a difference in `currency`."""
        percent: Decimal | None = difference.percent
        return cls(
            absolute=to_text(difference.absolute, currency), percent=None if percent is None else f"{percent:.2f}"
        )


class NetWorthOut(Schema):
    """What a portfolio was worth on two days, and the differences (raw: contributions are not taken out)."""

    currency: CurrencyCode
    start: DayOut
    end: DayOut
    assets: DifferenceOut
    debts: DifferenceOut
    net_worth: DifferenceOut

    @classmethod
    def of(cls, change: Change) -> Self:
        """Return what is shown of a change."""
        return cls(
            currency=change.currency,
            start=DayOut.of(change.start, change.currency),
            end=DayOut.of(change.end, change.currency),
            assets=DifferenceOut.of(change.assets, change.currency),
            debts=DifferenceOut.of(change.debts, change.currency),
            net_worth=DifferenceOut.of(change.net_worth, change.currency),
        )

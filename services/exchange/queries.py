"""Conversion between currencies by the European Central Bank's reference rates."""

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.db.models import Max

from fatfire.kit.errors import DomainError
from fatfire.kit.money import Money, require_currency, round_to_minor
from services.exchange.models import Rate

EURO = "EUR"
FRESH_DAYS = 5
"""A rate this many days old is still the day's: over Easter no rates are published for four days running."""

_EXACT = Context(prec=40, rounding=ROUND_HALF_EVEN)


class RateUnknown(DomainError):
    """There is no rate for this currency."""

    status, code = 404, "rate_unknown"


@dataclass(frozen=True, slots=True)
class Quote:
    """One unit of `base` is worth `rate` units of `quote`, by the rates of `on`.

    `estimated`: the rate is older than FRESH_DAYS, or of a later day than the one asked for (before the first known one).
    """

    base: str
    quote: str
    rate: Decimal
    on: dt.date
    estimated: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in another currency, rounded to its minor unit (halves away from zero), and the quote it was made by."""

    money: Money
    quote: Quote


def quote(*, base: str, quote: str, on: dt.date) -> Quote:
    """Return the rate between two currencies on a day: the newest published on or before it, else the first after it.

    Cross rates go through the euro: units of `quote` per euro over units of `base` per euro.

    Raises:
        InvalidInput: not currencies of ISO 4217.
        RateUnknown: the Central Bank publishes none.
    """
    require_currency(base, field="base")
    require_currency(quote, field="quote")
    if base == quote:
        return Quote(base, quote, Decimal(1), on, estimated=False)
    (base_per_euro, base_on), (quote_per_euro, quote_on) = _per_euro(base, on), _per_euro(quote, on)
    rate = _EXACT.divide(quote_per_euro, base_per_euro)
    # The less fitting of the two days tells how good the rate is.
    oldest = max((base_on, quote_on), key=lambda day: (day > on, abs(on - day)))
    return Quote(base, quote, rate, oldest, estimated=is_estimate(rate_on=oldest, on=on))


def is_estimate(*, rate_on: dt.date, on: dt.date) -> bool:
    """Return whether a rate of the day `rate_on` only estimates that of `on`."""
    return rate_on > on or (on - rate_on).days > FRESH_DAYS


def convert(*, money: Money, to: str, on: dt.date) -> Conversion:
    """Convert `money` into the currency `to` by the rate of a day.

    Raises:
        InvalidInput: `to` is not a currency of ISO 4217.
        RateUnknown: the Central Bank publishes none.
    """
    found = quote(base=money.currency, quote=to, on=on)
    return Conversion(Money(round_to_minor(_EXACT.multiply(money.amount, found.rate), to), to), found)


def newest_rate_day() -> dt.date | None:
    """Return the last day with rates; None before the first load."""
    newest: dt.date | None = Rate.objects.aggregate(on=Max("on"))["on"]
    return newest


def _per_euro(currency: str, on: dt.date) -> tuple[Decimal, dt.date]:
    """Return how many units a euro buys and the day of that rate."""
    if currency == EURO:
        return Decimal(1), on
    rates = Rate.objects.filter(currency=currency)
    found = rates.filter(on__lte=on).order_by("-on").first() or rates.filter(on__gt=on).order_by("on").first()
    if found is None:
        msg = f"There is no rate for {currency}."
        raise RateUnknown(msg)
    return found.per_euro, found.on

"""Conversion between currencies by the European Central Bank's reference rates."""

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.db.models import Case, DateField, Exists, F, Max, Min, OuterRef, When

from fatfire.kit.errors import DomainError
from fatfire.kit.money import Money, require_currency, round_to_minor
from services.exchange.models import Rate

EURO = "EUR"
FRESH_DAYS = 5
"""A rate this many days old is still the day's: over Easter no rates are published for four days running."""

# Wide enough that a quotient on the very edge between two roundings is exact, and one beside it stays beside it.
_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
_RATE_DIGITS = Context(prec=40, rounding=ROUND_HALF_EVEN)


class RateUnknown(DomainError):
    """There is no rate for this currency."""

    status, code = 404, "rate_unknown"


@dataclass(frozen=True, slots=True)
class Quote:
    """One unit of `base` is worth `rate` units of `quote` (to 40 significant digits), by the rates of `on`.

    `estimated`: the rate is older than FRESH_DAYS, or of a later day than was asked for (before the first known one).
    """

    base: str
    quote: str
    rate: Decimal
    on: dt.date
    estimated: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in another currency, rounded to its minor unit (halves away from zero), and the quote that made it."""

    money: Money
    quote: Quote


def quote(*, base: str, quote: str, on: dt.date) -> Quote:
    """Return the rate between two currencies on a day: the newest published on or before it, else the first after it.

    Cross rates go through the euro: units of `quote` per euro over units of `base` per euro.

    Raises:
        InvalidInput: not currencies of ISO 4217.
        RateUnknown: the Central Bank publishes none.
    """
    return convert(money=Money(Decimal(0), require_currency(base, field="base")), to=quote, on=on).quote


def convert(*, money: Money, to: str, on: dt.date) -> Conversion:
    """Convert `money` into the currency `to` by the rates of a day; rounded once, from the exact quotient.

    Raises:
        InvalidInput: `to` is not a currency of ISO 4217.
        RateUnknown: the Central Bank publishes none.
    """
    base = money.currency
    require_currency(to, field="quote")
    if base == to:
        unchanged = Money(round_to_minor(money.amount, to), to)
        return Conversion(unchanged, Quote(base, to, Decimal(1), on, estimated=False))
    (base_per_euro, base_on), (to_per_euro, to_on) = _per_euro(base, on), _per_euro(to, on)
    amount = _EXACT.divide(_EXACT.multiply(money.amount, to_per_euro), base_per_euro)
    # The less fitting of the two days tells how good the rate is.
    rate_on = max((base_on, to_on), key=lambda day: (day > on, abs(on - day)))
    found = Quote(
        base,
        to,
        _RATE_DIGITS.divide(to_per_euro, base_per_euro),
        rate_on,
        estimated=is_estimate(rate_on=rate_on, on=on),
    )
    return Conversion(Money(round_to_minor(amount, to), to), found)


def is_estimate(*, rate_on: dt.date, on: dt.date) -> bool:
    """Return whether a rate of the day `rate_on` only estimates that of `on`."""
    return rate_on > on or (on - rate_on).days > FRESH_DAYS


def newest_load() -> int:
    """Return the number of the last load that brought rates; 0 before the first."""
    return Rate.objects.aggregate(number=Max("load"))["number"] or 0


@dataclass(frozen=True, slots=True)
class NewestRate:
    """The newest rate of a currency: units per euro, and its day."""

    currency: str
    per_euro: Decimal
    on: dt.date


def newest_rates() -> list[NewestRate]:
    """Return the newest rate of each currency that has any, by currency."""
    newest = Rate.objects.order_by("currency", "-on").distinct("currency")
    return [NewestRate(*row) for row in newest.values_list("currency", "per_euro", "on")]


def newest_day() -> dt.date | None:
    """Return the day of the newest rates; None before the first load."""
    newest: dt.date | None = Rate.objects.aggregate(day=Max("on"))["day"]
    return newest


def first_day_changed(*, since: int) -> dt.date | None:
    """Return the first day on which a conversion may differ from what it was after the load `since`; None: none does.

    The first rate of a currency also serves every day before it: when that is new, the answer is the beginning of time.
    """
    earlier = Rate.objects.filter(currency=OuterRef("currency"), on__lt=OuterRef("on"))
    from_day = Case(When(Exists(earlier), then=F("on")), default=dt.date.min, output_field=DateField())
    first: dt.date | None = Rate.objects.filter(load__gt=since).aggregate(day=Min(from_day))["day"]
    return first


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

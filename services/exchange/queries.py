"""Conversion between currencies by the European Central Bank's reference rates."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.db import connections
from django.db.models import Case, DateField, Exists, F, Max, Min, OuterRef, When

from fatfire.kit.errors import DomainError
from fatfire.kit.money import MINOR_DIGITS, Money, require_currency, round_to_minor
from services.exchange.models import Rate
from tenants.isolation import current_alias

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


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of some currencies on some days, read at once: units per euro, and the day that they were published for."""

    per_euro: Mapping[tuple[str, dt.date], tuple[Decimal, dt.date]]

    def convert(self, *, money: Money, to: str, on: dt.date) -> Conversion:
        """Convert `money` by the rates of a day, rounded once, from the exact quotient; its own currency as it is.

        Raises:
            RateUnknown: the Central Bank publishes none for one of the two, or these aren't the rates of that day.
        """
        base = money.currency
        if base == to:
            return Conversion(money, Quote(base, to, Decimal(1), on, estimated=False))
        (base_per_euro, base_on), (to_per_euro, to_on) = self._find(base, on), self._find(to, on)
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

    def _find(self, currency: str, on: dt.date) -> tuple[Decimal, dt.date]:
        if currency == EURO:
            return Decimal(1), on
        try:
            return self.per_euro[currency, on]
        except KeyError:
            msg = f"There is no rate for {currency}."
            raise RateUnknown(msg) from None


def rates_of(*, currencies: Collection[str], days: Collection[dt.date]) -> Rates:
    """Return what converts the currencies into each other on each of the days; one query, whatever their number.

    A day's rate is the newest published on or before it, else the first after it. A currency without rates is absent.
    """
    quoted = set(currencies) - {EURO}
    if len(set(currencies)) < 2 or not days:
        return Rates({})
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(_RATES, {"currencies": list(quoted), "days": list(set(days))})
        return Rates({(currency, day): (per_euro, on) for currency, day, per_euro, on in cursor})


_RATES = """
    SELECT c.currency, d.day, coalesce(older.per_euro, newer.per_euro), coalesce(older."on", newer."on")
    FROM unnest(%(currencies)s::text[]) AS c (currency)
    CROSS JOIN unnest(%(days)s::date[]) AS d (day)
    LEFT JOIN LATERAL (
        SELECT r."on", r.per_euro FROM exchange_rate r
        WHERE r.currency = c.currency AND r."on" <= d.day ORDER BY r."on" DESC LIMIT 1
    ) older ON true
    LEFT JOIN LATERAL (
        SELECT r."on", r.per_euro FROM exchange_rate r
        WHERE r.currency = c.currency AND r."on" > d.day AND older."on" IS NULL ORDER BY r."on" LIMIT 1
    ) newer ON true
    WHERE coalesce(older."on", newer."on") IS NOT NULL
"""


def list_currencies() -> list[str]:
    """Return the currencies that can be converted into each other, by code: the euro, and those with any rate."""
    with connections[current_alias()].cursor() as cursor:
        # Asks for each currency that there is: the distinct ones of a quarter of a million rates would all be read.
        cursor.execute(
            """
            SELECT code FROM unnest(%s::text[]) AS code
            WHERE EXISTS (SELECT FROM exchange_rate r WHERE r.currency = code)
            """,
            [list(MINOR_DIGITS)],
        )
        return sorted({EURO, *(code for (code,) in cursor)})


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
    require_currency(to, field="quote")
    if money.currency == to:
        money = Money(round_to_minor(money.amount, to), to)
    return rates_of(currencies={money.currency, to}, days={on}).convert(money=money, to=to, on=on)


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

"""Money: a Decimal with an ISO 4217 currency in Python, a bigint of ten-thousandths in the database.

Why bigint: under row-level security PostgreSQL only uses leakproof operators as index conditions; numeric's aren't,
bigint's are. Four decimals hold every ISO 4217 currency (at most 4) and leave room up to 922 trillion.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.expressions import Combinable, register_combinable_fields

from fatfire.kit.errors import InvalidInput

SCALE = 4
MAX_AMOUNT = Decimal(2**63 - 1).scaleb(-SCALE)

# ISO 4217, table A.1 (active codes of countries, without funds, metals and test codes), as of 2026.
_TWO_DIGITS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
    CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
    KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK
    NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB
    TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}
"""Decimals of each ISO 4217 currency's minor unit; its keys are the currencies that the product accepts."""


def require_currency(code: str, *, field: str = "currency") -> str:
    """Return `code` when it is an ISO 4217 currency that the product accepts.

    Raises:
        InvalidInput: it is not; the message names `field`.
    """
    if code not in MINOR_DIGITS:
        msg = f"{code!r} is not a currency code of ISO 4217."
        raise InvalidInput(msg, field=field)
    return code


def require_amount(amount: Decimal, currency: str, *, field: str = "amount") -> Decimal:
    """Return `amount` when it can be an amount of `currency`: finite, no finer than its minor unit, not too large.

    Raises:
        InvalidInput: it can't; the message names `field`.
    """
    digits = MINOR_DIGITS[currency]
    if not amount.is_finite() or abs(amount) > MAX_AMOUNT:
        msg = f"An amount lies between -{MAX_AMOUNT} and {MAX_AMOUNT}."
        raise InvalidInput(msg, field=field)
    if amount != round_to_minor(amount, currency):
        msg = f"{currency} has {digits} decimals."
        raise InvalidInput(msg, field=field)
    return amount


def round_to_minor(amount: Decimal, currency: str) -> Decimal:
    """Round to the currency's minor unit, halves away from zero (as PostgreSQL's round(numeric) does)."""
    return amount.quantize(Decimal(1).scaleb(-MINOR_DIGITS[currency]), rounding=ROUND_HALF_UP)


def to_text(amount: Decimal, currency: str) -> str:
    """Write `amount` exactly, with at least the currency's decimals and no exponent: "1265594.40"."""
    digits = max(MINOR_DIGITS[currency], -int(amount.normalize().as_tuple().exponent))
    # Nothing owed is not "-0.00"; the format's own option for that (z) is eight times slower.
    return f"{amount or abs(amount):.{digits}f}"


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency. Positive is owned or received, negative is owed or paid."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        """Refuse what isn't a finite Decimal of a known currency: it is a programming error."""
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite() or self.currency not in MINOR_DIGITS:
            msg = f"not money: {self.amount!r} {self.currency!r}"
            raise ValueError(msg)

    def __str__(self) -> str:
        """Return "1265594.40 AUD"."""
        return f"{to_text(self.amount, self.currency)} {self.currency}"


# Not BigIntegerField: its lookups round floats and its arithmetic gives plain integers, ten thousand times the amount.
if TYPE_CHECKING:
    _DecimalField = models.Field[Decimal, Decimal]
else:
    _DecimalField = models.Field


class MoneyField(_DecimalField):
    """An amount: Decimal in Python, bigint of ten-thousandths in the database; the currency is a column beside it.

    Sum, Min, Max, sums and differences of amounts, and whole multiples of one give Decimals too. A Decimal in such an
    expression is `Value(amount, MoneyField())`. Never float: what isn't a Decimal, an int or decimal text, is finer
    than four decimals or too large, raises ValidationError.
    """

    description = "Money, exact to four decimals"

    def get_internal_type(self) -> str:
        """Make the column a bigint."""
        return "BigIntegerField"

    def from_db_value(self, value: int | Decimal | None, *_: object) -> Decimal | None:
        """Give ten-thousandths back as the amount; aggregates of bigint arrive as Decimal."""
        return None if value is None else Decimal(value).scaleb(-SCALE)

    def to_python(self, value: Any) -> Decimal | None:
        """Accept Decimal, int and decimal text.

        Raises:
            ValidationError: anything else, and what the column can't hold exactly.
        """
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
            msg = f"{value!r} is not an amount"
            raise ValidationError(msg)
        try:
            amount = Decimal(value)
        except ArithmeticError:
            amount = Decimal("NaN")
        if not amount.is_finite() or not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
            msg = f"{value!r} is not an amount between -{MAX_AMOUNT} and {MAX_AMOUNT}"
            raise ValidationError(msg)
        if amount != amount.quantize(Decimal(1).scaleb(-SCALE)):
            msg = f"{value!r} is finer than {SCALE} decimals"
            raise ValidationError(msg)
        return amount

    def get_prep_value(self, value: Any) -> int | None:
        """Write the amount as whole ten-thousandths.

        Raises:
            ValidationError: it isn't an amount.
        """
        value = super().get_prep_value(value)
        if hasattr(value, "resolve_expression"):
            return value  # type: ignore[no-any-return]
        amount = self.to_python(value)
        return None if amount is None else int(amount.scaleb(SCALE))


def optional_money_field() -> "models.Field[Decimal | None, Decimal | None]":
    """Return a MoneyField whose amount may be unknown: NULL in the database, None in Python."""
    return MoneyField(null=True)  # type: ignore[misc, return-value]  # not generic, as Django's field isn't at runtime


for _sign in (Combinable.ADD, Combinable.SUB):
    register_combinable_fields(MoneyField, _sign, MoneyField, MoneyField)
register_combinable_fields(MoneyField, Combinable.MUL, models.IntegerField, MoneyField)
register_combinable_fields(models.IntegerField, Combinable.MUL, MoneyField, MoneyField)

"""Numbers, amounts and days as they are written where the person is. Words around them stay English.

What a locale's marks, patterns and names are is Babel's to say (the Unicode CLDR). Its patterns are read once for each
locale and currency and then filled in here, ten times as fast as Babel does: a chart needs thousands. Babel is loaded
when first needed, not with the URLs.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from fatfire.kit.locales import DEFAULT_LOCALE, LOCALES
from fatfire.kit.money import MINOR_DIGITS, round_to_minor

if TYPE_CHECKING:
    from babel import Locale

MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"
_THOUSANDS = 3

_current: ContextVar[str] = ContextVar("web_locale", default=DEFAULT_LOCALE)


@contextlib.contextmanager
def in_locale(tag: str) -> Iterator[None]:
    """Write numbers and days in the block as in this locale; a tag that isn't offered (any more) is the default's."""
    token = _current.set(tag if tag in LOCALES else DEFAULT_LOCALE)
    try:
        yield
    finally:
        _current.reset(token)


class Figure(NamedTuple):
    """A number in three parts: all up to its decimal mark, the mark and the decimals (if any), what follows."""

    whole: str
    decimals: str
    end: str


@dataclass(frozen=True, slots=True)
class Marks:
    """How a locale writes a number: its marks, and how many digits its last group has and the ones before."""

    decimal: str
    group: str
    last_group: int
    other_groups: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What stands around a number."""

    before: str
    after: str


def money_figure(amount: Decimal, currency: str, home: str, *, with_plus: bool = False) -> Figure:
    """Return the amount in the currency's minor unit, with a real minus sign before all: "$1,234", ".50", ""."""
    return _figure(round_to_minor(amount, currency), MINOR_DIGITS[currency], currency, home, with_plus=with_plus)


def whole_money_text(amount: Decimal, currency: str) -> str:
    """Return an amount that has no decimals, with its sign, be it plus: "+$50,107"."""
    return "".join(_figure(amount, 0, currency, currency, with_plus=True))


def percent_text(percent: Decimal, *, digits: int = 2, with_plus: bool = False) -> str:
    """Return a number of percent: "2.35%"."""
    pattern = _percent_pattern(_current.get())
    return f"{_sign(percent, with_plus)}{pattern.before}{number_text(abs(percent), digits)}{pattern.after}"


def number_text(size: Decimal, digits: int) -> str:
    """Return a number that isn't negative, with so many decimals and between its thousands the locale's mark."""
    marks = marks_of_locale()
    text = f"{size:,.{digits}f}"
    if marks.other_groups != _THOUSANDS:
        whole, point, decimals = text.partition(".")
        text = f"{_regrouped(whole.replace(',', ''), marks)}{point}{decimals}"
    if marks.decimal == ".":
        return text if marks.group == "," else text.replace(",", marks.group)
    return text.replace(".", "\0").replace(",", marks.group).replace("\0", marks.decimal)


def short_text(value: Decimal) -> str:
    """Return a number for an axis: "1.5M", "500K", "0"."""
    from babel.numbers import format_compact_decimal

    text = format_compact_decimal(abs(value), locale=_babel(_current.get()), fraction_digits=2)
    if text.isdecimal():  # the locale has no short form of thousands
        text = number_text(Decimal(text), 0)
    return _sign(value, with_plus=False) + text


def symbol_of(currency: str, home: str) -> str:
    """Return the currency's sign on a page in `home`: home's as the locale has it, any other's as the world has it.

    So a dollar that isn't the page's own says whose it is. A currency without a sign is its three letters.
    """
    return _symbol(_current.get(), currency, at_home=currency == home)


def marks_of_locale() -> Marks:
    """Return how the locale writes numbers."""
    return _marks(_current.get())


def day_text(day: dt.date) -> str:
    """Return a day: "5 Mar 2026"."""
    from babel.dates import format_date

    return format_date(day, "medium", _babel(_current.get()))


def day_of_month_text(day: dt.date) -> str:
    """Return a day without its year: "5 Mar"."""
    return _skeleton(day, "MMMd")


def month_text(day: dt.date, *, with_year: bool) -> str:
    """Return the month of a day: "Mar 2026", or "Mar"."""
    from babel.dates import format_date

    return _skeleton(day, "yMMM") if with_year else format_date(day, "LLL", _babel(_current.get()))


def moment_text(at: dt.datetime, time_zone: str) -> str:
    """Return the day and the minute of `at` (aware) in the IANA zone `time_zone`: "5 Mar 2026, 5:04 pm"."""
    from babel.dates import format_time, get_datetime_format

    locale, there = _babel(_current.get()), at.astimezone(ZoneInfo(time_zone))
    pattern = str(get_datetime_format("medium", locale))
    return pattern.format(format_time(there, "short", locale=locale), day_text(there.date()))


def language() -> str:
    """Return the language that the names of months are in, as HTML's `lang`."""
    return _current.get().partition("-")[0]


def _figure(amount: Decimal, digits: int, currency: str, home: str, *, with_plus: bool) -> Figure:
    pattern = _money_pattern(_current.get(), currency, at_home=currency == home)
    text = number_text(abs(amount), digits)
    cut = len(text) - digits - 1 if digits else len(text)
    whole = f"{_sign(amount, with_plus)}{pattern.before}{text[:cut]}"
    return Figure(whole, text[cut:], pattern.after)


def _sign(amount: Decimal, with_plus: bool) -> str:
    return MINUS if amount < 0 else "+" if with_plus and amount > 0 else ""


def _regrouped(digits: str, marks: Marks) -> str:
    """Return the digits with commas between their groups."""
    rest, groups = digits[: -marks.last_group], [digits[-marks.last_group :]]
    while rest:
        rest, groups = rest[: -marks.other_groups], [rest[-marks.other_groups :], *groups]
    return ",".join(groups)


def _skeleton(day: dt.date, skeleton: str) -> str:
    from babel.dates import format_skeleton

    return format_skeleton(skeleton, day, locale=_babel(_current.get()))


@lru_cache
def _babel(tag: str) -> "Locale":
    from babel import Locale

    return Locale.parse(tag, sep="-")


@lru_cache
def _marks(tag: str) -> Marks:
    from babel.numbers import get_decimal_symbol, get_group_symbol

    locale = _babel(tag)
    last, others = locale.decimal_formats[None].grouping
    return Marks(get_decimal_symbol(locale), get_group_symbol(locale), last, others)


@lru_cache
def _percent_pattern(tag: str) -> _Pattern:
    pattern = _babel(tag).percent_formats[None]
    return _Pattern(pattern.prefix[0], pattern.suffix[0])


@lru_cache(maxsize=1024)
def _money_pattern(tag: str, currency: str, *, at_home: bool) -> _Pattern:
    """Return what stands around an amount that isn't negative; letters don't touch the digits."""
    pattern: Any = _babel(tag).currency_formats["standard"]
    symbol = _symbol(tag, currency, at_home=at_home)
    before, after = (each.replace("¤", symbol) for each in (pattern.prefix[0], pattern.suffix[0]))
    return _Pattern(before + _SPACE if before[-1:].isalpha() else before, after)


@lru_cache(maxsize=1024)
def _symbol(tag: str, currency: str, *, at_home: bool) -> str:
    from babel import localedata

    local: str = _babel(tag).currency_symbols.get(currency, currency)
    if at_home and local != currency:
        return local
    worldwide: str = localedata.load("root")["currency_symbols"].get(currency, currency)
    return worldwide

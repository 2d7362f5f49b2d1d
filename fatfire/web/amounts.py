"""Amounts of money as people type them: with the marks of their own locale, or plainly."""

import re
import unicodedata
from decimal import Decimal
from functools import cache
from typing import Any

from django import forms
from django.utils.functional import lazy

from fatfire.kit.money import MAX_AMOUNT, MINOR_DIGITS
from fatfire.web import formats

_AROUND = re.compile(r"([^0-9]*)([0-9](?:.*[0-9])?)([^0-9]*)", re.DOTALL)
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ANY_SPACE = re.compile("[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]")
# What a person may type for each mark that locales put between thousands.
_BETWEEN = {
    ",": re.compile(","),
    ".": re.compile("[.]"),
    "\N{RIGHT SINGLE QUOTATION MARK}": re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]"),
    "\N{NO-BREAK SPACE}": _ANY_SPACE,
    "\N{NARROW NO-BREAK SPACE}": _ANY_SPACE,
}
_CURRENCY_SIGN = "Sc"  # a category of Unicode


def amount_field(label: str, help_text: str = "", *, required: bool = True) -> forms.CharField:
    """Return the field of an amount; `with_amounts` reads it, once its currency is known."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={
            "required": _with_example("Enter an amount such as {}."),
            "max_length": _with_example("That is too long for an amount. Enter one such as {}."),
        },
    )


def _example_in(words: str) -> str:
    """Return the words with an example, written when the page is: the form is older than the person's request."""
    return words.format(formats.number_text(Decimal("1234.50"), 2))


_with_example = lazy(_example_in, str)


def typed_amount(amount: Decimal | None, currency: str) -> str:
    """Return what stands in the field of an amount that isn't negative, as `read_amount` reads it; nothing for None."""
    return "" if amount is None else formats.number_text(amount, MINOR_DIGITS[currency])


def read_amount(text: str, currency: str) -> Decimal:
    """Return the amount that a person typed, exact and never below zero.

    It may have the marks of their locale ("1.234,50 €"), or none but a decimal point ("AUD 1234.5").

    Raises:
        ValidationError: it can't be read for certain; "1,50" might be a hundred times as much.
    """
    example, marks = _example(currency), formats.marks_of_locale()
    found = _AROUND.fullmatch(text)
    before, number, after = found.groups() if found else ("", "", "")
    around = "".join(f"{before}{after}".upper().split())
    if "-" in around or formats.MINUS in around:
        msg = f"Leave out the minus: enter an amount such as {example}."
        raise forms.ValidationError(msg)
    readings = _readings(number, marks)
    # What is too fine for the currency was meant otherwise, where it can be.
    fitting = {each for each in readings if -int(each.as_tuple().exponent) <= MINOR_DIGITS[currency]} or readings
    if not fitting or (around not in _signs(currency) and not _is_a_sign(around)):
        msg = f"Enter an amount such as {example}, with {_name_of(marks.group)} only between thousands."
        raise forms.ValidationError(msg)
    if around not in _signs(currency):
        msg = f"This amount is in {currency}: enter it such as {example}."
        raise forms.ValidationError(msg)
    if len(fitting) > 1:
        msg = f"{number} can be read in two ways: enter the amount such as {example}."
        raise forms.ValidationError(msg)
    [amount] = fitting
    if amount > MAX_AMOUNT:
        msg = "That is more than can be kept here."
        raise forms.ValidationError(msg)
    return amount


def with_amounts(form: forms.Form, *names: str, currency: str | None) -> dict[str, Any]:
    """Return the form's values with these amounts read, None for one left empty; what can't be read is said beside it.

    Without a currency (it was refused itself) they can't be read, and stay as they are.
    """
    values = dict(form.cleaned_data)
    if currency is None:
        return values
    for name in names:
        try:
            text = values.get(name)
            values[name] = read_amount(text, currency) if text else None
        except forms.ValidationError as error:
            form.add_error(name, error)
    return values


def _example(currency: str) -> str:
    digits = MINOR_DIGITS[currency]
    return formats.number_text(Decimal("1234.50") if digits else Decimal(1234), digits)


def _readings(number: str, marks: formats.Marks) -> set[Decimal]:
    """Return what the number means with the locale's marks, and as a plain one; none, one or two amounts."""
    own, plain = _written(marks).fullmatch(number), _PLAIN.fullmatch(number)
    readings = {Decimal(number)} if plain else set()
    if own:
        readings.add(Decimal(_BETWEEN[marks.group].sub("", own["whole"]) + "." + (own["decimals"] or "")))
    return readings


@cache
def _written(marks: formats.Marks) -> re.Pattern[str]:
    """Return what a number looks like in the locale, with or without marks between its thousands."""
    group, digit = _BETWEEN[marks.group].pattern, "[0-9]"
    groups = f"(?:{group}{digit}{{{marks.other_groups}}})*{group}{digit}{{{marks.last_group}}}"
    whole = f"{digit}+|{digit}{{1,{marks.other_groups}}}{groups}"
    return re.compile(f"(?P<whole>{whole})(?:{re.escape(marks.decimal)}(?P<decimals>{digit}+))?")


def _name_of(mark: str) -> str:
    return {",": "commas", ".": "points", "\N{RIGHT SINGLE QUOTATION MARK}": "apostrophes"}.get(mark, "spaces")


def _is_a_sign(around: str) -> bool:
    """Return whether it could be some currency's: a stray mark could not."""
    return any(letter.isalpha() or unicodedata.category(letter) == _CURRENCY_SIGN for letter in around)


def _signs(currency: str) -> set[str]:
    """Return what may stand before or after an amount of the currency."""
    signs = {"".join(formats.symbol_of(currency, home).upper().split()) for home in ("", currency)}
    bare = {letter for sign in signs for letter in sign if unicodedata.category(letter) == _CURRENCY_SIGN}
    return {"", currency, *signs, *bare}  # "A$" and "$" for Australian dollars

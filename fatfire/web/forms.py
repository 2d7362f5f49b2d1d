"""Forms as people fill them in: amounts with separators, days, currencies, time zones; and their refusals in words."""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from django import forms
from django.utils.functional import lazy

from fatfire.kit.clock import time_zones
from fatfire.kit.errors import DomainError, InvalidInput
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


@dataclass(frozen=True, slots=True)
class FormPage:
    """What a page with one form says around it; `back` is where one goes without saving."""

    title: str
    sentence: str
    action: str
    back: str
    is_danger: bool = False


class SuggestingField(forms.CharField):
    """A line of text with suggestions from a list; what was typed stays, whether the list has it or not."""

    def __init__(self, *, name: str, suggestions: Callable[[], list[str]], **options: Any) -> None:
        attrs = {"list": f"{name}-suggestions", "autocomplete": "off", "spellcheck": "false"}
        super().__init__(widget=forms.TextInput(attrs=attrs), **options)
        self.list_id, self.suggestions = attrs["list"], suggestions


def text_field(
    label: str,
    max_length: int,
    *,
    required: str = "",
    help_text: str = "",
    suggestions: Callable[[], list[str]] | None = None,
) -> forms.CharField:
    """Return the field of a line of text, with suggestions where there are some; `required`: what is said without."""
    too_long = "At most %(limit_value)d characters; this has %(show_value)d."
    options: dict[str, Any] = {
        "label": label,
        "max_length": max_length,
        "required": bool(required),
        "help_text": help_text,
        "error_messages": {"required": required, "max_length": too_long},
    }
    if suggestions is not None:
        return SuggestingField(name=label.lower().replace(" ", "-"), suggestions=suggestions, **options)
    return forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}), **options)


def choice_field[T](
    label: str,
    choices: Sequence[tuple[str, Any]],
    *,
    coerce: Callable[[str], T],
    help_text: str = "",
    required: bool = True,
) -> forms.TypedChoiceField:
    """Return the field of one choice, as `coerce` makes it of its value; not required, None where none is made."""
    words = "Choose one of the list."
    return forms.TypedChoiceField(
        label=label,
        choices=choices,
        coerce=coerce,
        empty_value=None,
        help_text=help_text,
        required=required,
        error_messages={"required": words, "invalid_choice": words},
    )


class CurrencyField(SuggestingField):
    """A currency by its three letters, in whatever case."""

    def __init__(self, label: str = "Currency", help_text: str = "") -> None:
        super().__init__(
            name="currency",
            suggestions=lambda: sorted(MINOR_DIGITS),
            label=label,
            help_text=help_text,
            max_length=40,
            error_messages={"required": "Enter the three letters of a currency, such as AUD or USD."},
        )

    def clean(self, value: Any) -> str:
        """Return the code.

        Raises:
            ValidationError: there is no such currency.
        """
        code: str = super().clean(value).upper()
        if code not in MINOR_DIGITS:
            raise forms.ValidationError(self.error_messages["required"])
        return code


class TimeZoneField(SuggestingField):
    """A time zone by its name in the IANA database."""

    def __init__(self, help_text: str = "A day of this portfolio ends at midnight there.") -> None:
        super().__init__(
            name="time-zone",
            suggestions=_known_zones,
            label="Time zone",
            max_length=64,
            help_text=help_text,
            error_messages={"required": "Enter a time zone, such as Australia/Sydney."},
        )

    def clean(self, value: Any) -> str:
        """Return the name.

        Raises:
            ValidationError: there is no such zone.
        """
        name: str = super().clean(value)
        if name not in time_zones():
            raise forms.ValidationError(self.error_messages["required"])
        return name


def _known_zones() -> list[str]:
    """Return the zones that are called by a place, for people to choose from."""
    return sorted(name for name in time_zones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/")))


def name_field(max_length: int, *, help_text: str = "", required: bool = True) -> forms.CharField:
    """Return the field of a name."""
    return forms.CharField(
        label="Name",
        help_text=help_text,
        required=required,
        max_length=max_length,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={
            "required": "Enter a name.",
            "max_length": "A name has at most %(limit_value)d characters; this one has %(show_value)d.",
        },
    )


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


def day_field(label: str, help_text: str = "", *, required: bool = True) -> forms.DateField:
    """Return the field of a calendar day."""
    words = "Enter a day such as 2026-03-31 (year, month, day)."
    return forms.DateField(
        label=label,
        help_text=help_text,
        required=required,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date", "min": dt.date(1900, 1, 1).isoformat()}, format="%Y-%m-%d"),
        error_messages={"required": words, "invalid": words},
    )


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


def attempt[T](
    form: forms.Form, write: Callable[[dict[str, Any]], T], *, beside: Mapping[type[DomainError], str] | None = None
) -> T | None:
    """Return what `write` made of the form's values; None when refused, with the reason in the form's errors.

    A refusal that names one of the form's fields, or that `beside` gives one, stands there; any other is the page's.
    Whoever gets None answers with a status that rolls back.
    """
    if not form.is_valid():
        return None
    try:
        return write(form.cleaned_data)
    except DomainError as error:
        field = error.field if isinstance(error, InvalidInput) else (beside or {}).get(type(error))
        form.add_error(field if field in form.fields else None, error.detail)
        return None


def is_saved(
    form: forms.Form,
    write: Callable[[dict[str, Any]], object],
    *,
    beside: Mapping[type[DomainError], str] | None = None,
) -> bool:
    """Attempt the same, and return only whether it was written."""
    return attempt(form, write, beside=beside) is not None

"""Forms as people fill them in: days, currencies, time zones; and their refusals in words."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from fatfire.kit.clock import time_zones
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import MINOR_DIGITS


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

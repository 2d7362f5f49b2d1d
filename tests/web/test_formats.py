"""Numbers and days in every locale, held against Babel's own; and that what is shown can be typed back."""

import datetime as dt
import subprocess
import sys
from decimal import ROUND_DOWN, Decimal

import pytest
from babel import Locale
from babel.numbers import format_currency
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from fatfire.kit.locales import LOCALES
from fatfire.kit.money import MAX_AMOUNT, MINOR_DIGITS, SCALE, round_to_minor
from fatfire.web import formats
from fatfire.web.amounts import read_amount, typed_amount
from fatfire.web.templatetags.money import money_text

D = Decimal
LARGEST = MAX_AMOUNT.to_integral_value(ROUND_DOWN)
NB = "\N{NO-BREAK SPACE}"
MOMENT = dt.datetime(2026, 3, 5, 6, 4, tzinfo=dt.UTC)

amounts = st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-SCALE))
currencies = st.sampled_from(sorted(MINOR_DIGITS))
locales = st.sampled_from(sorted(LOCALES))


@given(amount=amounts, currency=currencies, home=currencies, locale=locales)
def test_amount_that_is_shown_can_be_typed_back(amount, currency, home, locale):
    with formats.in_locale(locale):
        assert read_amount(money_text(amount, currency, home), currency) == round_to_minor(amount, currency)
        assert read_amount(money_text(amount, currency, currency), currency) == round_to_minor(amount, currency)
        if round_to_minor(amount, currency):
            with pytest.raises(ValidationError, match="Leave out the minus"):
                read_amount(money_text(-amount, currency, home), currency)


@given(amount=amounts, currency=currencies, locale=locales)
def test_amount_that_a_form_is_filled_with_is_read_as_it_is(amount, currency, locale):
    rounded = round_to_minor(amount, currency)

    with formats.in_locale(locale):
        assert read_amount(typed_amount(rounded, currency), currency) == rounded


@given(amount=amounts, currency=currencies, locale=locales)
def test_digits_are_those_that_babel_writes(amount, currency, locale):
    rounded, tag = round_to_minor(amount, currency), Locale.parse(locale, sep="-")

    with formats.in_locale(locale):
        ours = formats.number_text(rounded, MINOR_DIGITS[currency])
    theirs = format_currency(
        rounded, currency, locale=tag, format=_digits_only(tag, MINOR_DIGITS[currency]), currency_digits=False
    )
    assert ours == theirs


def _digits_only(locale, digits):
    grouped = locale.decimal_formats[None].pattern.split(".")[0]
    return grouped + ("." + "0" * digits if digits else "")


@pytest.mark.parametrize("locale", LOCALES)
def test_largest_amount_can_be_typed_back(locale):
    with formats.in_locale(locale):
        assert read_amount(money_text(LARGEST, "JPY", "JPY"), "JPY") == LARGEST


SHORT = [
    ("en-AU", ["0", "250", "0.25", "500K", "1.5M", "\u221220K", "2B"]),
    ("de-DE", ["0", "250", "0,25", "500.000", f"1,5{NB}Mio.", "\u221220.000", f"2{NB}Mrd."]),
    ("en-IN", ["0", "250", "0.25", "5L", "15L", "\u221220K", "200Cr"]),
    ("ja-JP", ["0", "250", "0.25", "50万", "150万", "\u22122万", "20億"]),
]


@pytest.mark.parametrize(("locale", "expected"), SHORT)
def test_short_numbers(locale, expected):
    values = ("0", "250", "0.25", "500000", "1500000", "-20000", "2E9")
    with formats.in_locale(locale):
        assert [formats.short_text(D(value)) for value in values] == expected


MOMENTS = [
    ("en-AU", "5 Mar 2026, 5:04\u202fpm"),
    ("en-GB", "5 Mar 2026, 17:04"),
    ("de-DE", "05.03.2026, 17:04"),
    ("sv-SE", "5 mars 2026 17:04"),
]


@pytest.mark.parametrize(("locale", "expected"), MOMENTS)
def test_moment_is_of_the_time_zone(locale, expected):
    with formats.in_locale(locale):
        assert formats.moment_text(MOMENT, "Australia/Sydney") == expected


@pytest.mark.parametrize("locale", LOCALES)
def test_every_locale_writes_everything(locale):
    day = dt.date(2026, 11, 23)
    with formats.in_locale(locale):
        written = [
            formats.day_text(day),
            formats.day_of_month_text(day),
            formats.month_text(day, with_year=True),
            formats.month_text(day, with_year=False),
            formats.moment_text(MOMENT, "Australia/Sydney"),
            formats.percent_text(D("-2.5"), with_plus=True),
        ]
    assert all(written)
    assert not [text for text in written if set(text) & set("'{}")]


def test_locale_is_of_the_block_only():
    with formats.in_locale("de-DE"):
        with formats.in_locale("fr-FR"):
            assert formats.language() == "fr"
        assert formats.language() == "de"
    assert formats.language() == "en"


TYPED = [
    # locale, typed, currency, amount
    ("de-DE", "1.234,56", "EUR", "1234.56"),
    ("de-DE", "1234,56", "EUR", "1234.56"),
    ("de-DE", "1234.56", "EUR", "1234.56"),
    ("de-DE", "1.234", "EUR", "1234"),  # euros have no third decimal: it can mean nothing else
    ("de-DE", "1.234,56 €", "EUR", "1234.56"),
    ("de-DE", "€ 12", "EUR", "12"),
    ("de-DE", "12 EUR", "EUR", "12"),
    ("de-DE", "1.234", "JPY", "1234"),
    ("de-CH", "1\u2019234.50", "CHF", "1234.50"),
    ("de-CH", "CHF 1'234.50", "CHF", "1234.50"),
    ("fr-FR", "1 234,5", "EUR", "1234.5"),
    ("fr-FR", "1\u202f234\u202f567,5\u00a0€", "EUR", "1234567.5"),
    ("fr-FR", "12 $", "AUD", "12"),
    ("hi-IN", "12,34,567.5", "INR", "1234567.5"),
    ("hi-IN", "₹1234567.5", "INR", "1234567.5"),
    ("en-AU", "1,234.56 AUD", "AUD", "1234.56"),
    ("de-DE", "1,234", "KWD", "1.234"),
    ("da-DK", "1.234,5 kr.", "DKK", "1234.5"),
]


@pytest.mark.parametrize(("locale", "typed", "currency", "amount"), TYPED)
def test_amount_is_read_in_the_locale(locale, typed, currency, amount):
    with formats.in_locale(locale):
        assert str(read_amount(typed, currency)) == amount


POINTS = "Enter an amount such as 1.234,50, with points only between thousands."
REFUSED = [
    # locale, typed, currency, words
    ("de-DE", "1,234.56", "EUR", POINTS),
    ("de-DE", "1.23.456", "EUR", POINTS),
    ("de-DE", "1.2345,00", "EUR", POINTS),
    ("de-DE", "12,", "EUR", POINTS),
    ("de-DE", "€", "EUR", POINTS),
    ("de-DE", ",5", "EUR", POINTS),
    ("de-DE", "+5", "EUR", POINTS),
    ("de-DE", "1.234", "KWD", "1.234 can be read in two ways: enter the amount such as 1.234,500."),
    ("de-DE", "5 US$", "EUR", "This amount is in EUR: enter it such as 1.234,50."),
    ("de-DE", "5-", "EUR", "Leave out the minus: enter an amount such as 1.234,50."),
    ("de-CH", "1.234.50", "CHF", "Enter an amount such as 1\u2019234.50, with apostrophes only between thousands."),
    ("fr-FR", "1 23,5", "EUR", "Enter an amount such as 1\u202f234,50, with spaces only between thousands."),
    ("hi-IN", "1,234,567", "INR", "Enter an amount such as 1,234.50, with commas only between thousands."),
    ("en-AU", "1.234,56", "AUD", "Enter an amount such as 1,234.50, with commas only between thousands."),
    ("en-AU", "$5 US$", "AUD", "This amount is in AUD: enter it such as 1,234.50."),
]


@pytest.mark.parametrize(("locale", "typed", "currency", "words"), REFUSED)
def test_amount_that_may_mean_something_else_is_refused_in_the_locale(locale, typed, currency, words):
    with formats.in_locale(locale), pytest.raises(ValidationError) as refusal:
        read_amount(typed, currency)
    assert refusal.value.messages == [words]


def test_babel_is_not_loaded_with_the_urls():
    script = (
        "import os, django, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'fatfire.settings'; django.setup();"
        "from fatfire.urls import urlpatterns; from django.urls import get_resolver; get_resolver().url_patterns;"
        "sys.exit(any(name.partition('.')[0] == 'babel' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""Money and changes as people read them."""

import datetime as dt
from decimal import Decimal

import pytest

from fatfire.web.formats import in_locale
from fatfire.web.templatetags.money import change, day, initials, money, money_text, percent, whole_change
from services.analytics.queries import Difference

D = Decimal


NB, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"

AMOUNTS = [
    # locale, amount, currency, home, expected
    ("en-AU", "1265594.40", "AUD", "AUD", "$1,265,594.40"),
    ("en-AU", "-241560.68", "AUD", "AUD", "\u2212$241,560.68"),
    ("en-AU", "9120.55", "USD", "AUD", "US$9,120.55"),
    ("en-AU", "9120.55", "USD", "USD", "US$9,120.55"),
    ("en-AU", "9120.55", "AUD", "USD", "A$9,120.55"),
    ("en-AU", "-0.001", "AUD", "AUD", "$0.00"),
    ("en-AU", "0.005", "AUD", "AUD", "$0.01"),
    ("en-AU", "1234.5", "JPY", "AUD", "JP¥1,235"),
    ("en-AU", "1.2345", "KWD", "AUD", f"KWD{NB}1.235"),
    ("en-AU", "-12", "EUR", "AUD", "\u2212€12.00"),
    ("en-US", "1234567.8", "USD", "USD", "$1,234,567.80"),
    ("en-US", "1234567.8", "AUD", "AUD", "A$1,234,567.80"),
    ("en-GB", "-1234.5", "GBP", "GBP", "\u2212£1,234.50"),
    ("en-ZA", "1234.5", "ZAR", "ZAR", f"R{NB}1{NB}234,50"),
    ("en-IN", "123456789.5", "INR", "INR", "₹12,34,56,789.50"),
    ("hi-IN", "-123456.5", "INR", "INR", "\u2212₹1,23,456.50"),
    ("hi-IN", "999", "JPY", "INR", "JP¥999"),
    ("de-DE", "1234.56", "EUR", "EUR", f"1.234,56{NB}€"),
    ("de-DE", "-1234.56", "EUR", "EUR", f"\u22121.234,56{NB}€"),
    ("de-DE", "1234567", "JPY", "EUR", f"1.234.567{NB}JP¥"),
    ("de-DE", "1234.5", "KWD", "KWD", f"1.234,500{NB}KWD"),
    ("de-DE", "1234.5", "USD", "EUR", f"1.234,50{NB}US$"),
    ("de-CH", "-1234.5", "CHF", "CHF", f"\u2212CHF{NB}1\u2019234.50"),
    ("de-AT", "1234.5", "EUR", "EUR", f"€{NB}1.234,50"),
    ("fr-FR", "-1234567.5", "EUR", "EUR", f"\u22121{NARROW}234{NARROW}567,50{NB}€"),
    ("fr-CA", "1234.5", "CAD", "CAD", f"1{NB}234,50{NB}$"),
    ("nl-NL", "-1234.5", "EUR", "EUR", f"\u2212€{NB}1.234,50"),
    ("sv-SE", "1234.5", "SEK", "SEK", f"1{NB}234,50{NB}kr"),
    ("pt-BR", "1234.5", "BRL", "BRL", f"R${NB}1.234,50"),
    ("ja-JP", "1234567", "JPY", "JPY", "￥1,234,567"),
    ("xx-XX", "1234.5", "AUD", "AUD", "$1,234.50"),  # not offered any more: the default
]


@pytest.mark.parametrize(("locale", "amount", "currency", "home", "expected"), AMOUNTS)
def test_amount_is_written_as_in_the_locale(locale, amount, currency, home, expected):
    with in_locale(locale):
        assert money_text(D(amount), currency, home) == expected


MARKUP = [
    ("en-AU", "-1234.5", "AUD", '<span class="num">\u2212$1,234<span class="cents">.50</span></span>'),
    ("en-AU", "1234", "JPY", '<span class="num">JP¥1,234</span>'),
    (
        "de-DE",
        "-1234.5",
        "EUR",
        f'<span class="num">\u22121.234<span class="cents">,50</span><span class="sign">{NB}€</span></span>',
    ),
    ("de-DE", "1234", "JPY", f'<span class="num">1.234<span class="sign">{NB}¥</span></span>'),
    ("de-CH", "1234.5", "CHF", f'<span class="num">CHF{NB}1\u2019234<span class="cents">.50</span></span>'),
]


@pytest.mark.parametrize(("locale", "amount", "currency", "expected"), MARKUP)
def test_cents_are_muted_whatever_their_mark(locale, amount, currency, expected):
    with in_locale(locale):
        assert money(D(amount), currency) == expected


CHANGES = [
    # absolute, percent, owed, (tone, glyph, word, text), in whole units
    ("10", "10", False, ("gain", "▲", "up", "+10.00%"), "+$10"),
    ("-10", "-10", False, ("loss", "▼", "down", "\u221210.00%"), "\u2212$10"),
    ("0", "0", False, ("flat", "•", "unchanged", "0.00%"), "$0"),
    ("50", "25", True, ("gain", "▼", "down", "\u221225.00%"), "\u2212$50"),  # a debt of 200 that became 150
    ("-50", "-25", True, ("loss", "▲", "up", "+25.00%"), "+$50"),
    ("1234567", None, False, ("flat", "•", "", "new"), "+$1,234,567"),
    ("0", None, False, ("flat", "•", "", "no change"), "$0"),
]


@pytest.mark.parametrize(("absolute", "percent", "owed", "shown", "whole"), CHANGES)
def test_change_tells_direction_and_whether_it_is_good(absolute, percent, owed, shown, whole):
    difference = Difference(D(absolute), None if percent is None else D(percent))

    assert change(difference, owed=owed) == dict(zip(("tone", "glyph", "word", "text"), shown, strict=True))
    assert whole_change(difference, "AUD", owed=owed) == whole


def test_change_is_written_as_in_the_locale():
    with in_locale("de-DE"):
        assert change(Difference(D("1234.5"), D("1234.5")))["text"] == f"+1.234,50{NB}%"
        assert whole_change(Difference(D("-1234.5"), D(1)), "EUR") == f"\u22121.235{NB}€"
        assert percent(D("58.14")) == f"58,1{NB}%"


DAYS = [("en-AU", "5 Mar 2026"), ("en-US", "Mar 5, 2026"), ("de-DE", "05.03.2026")]
DAYS += [("fr-FR", '<span lang="fr">5 mars 2026</span>'), ("hi-IN", '<span lang="hi">5 मार्च 2026</span>')]


@pytest.mark.parametrize(("locale", "expected"), DAYS)
def test_day_says_which_language_its_month_is_in(locale, expected):
    with in_locale(locale):
        assert day(dt.date(2026, 3, 5)) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("Family wealth", "FW"), ("Everyday", "EV"), ("X", "X"), ("- loan a", "LA"), ("-", "-")]
)
def test_initials(name, expected):
    assert initials(name) == expected

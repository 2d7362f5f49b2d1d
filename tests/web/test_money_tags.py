"""Money and changes as people read them."""

from decimal import Decimal

import pytest

from fatfire.web.templatetags.money import change, initials, money, money_text, whole_change
from services.analytics.queries import Difference

D = Decimal


@pytest.mark.parametrize(
    ("amount", "currency", "home", "expected"),
    [
        ("1265594.40", "AUD", "AUD", "$1,265,594.40"),
        ("-241560.68", "AUD", "AUD", "\u2212$241,560.68"),
        ("9120.55", "USD", "AUD", "US$9,120.55"),
        ("9120.55", "USD", "USD", "$9,120.55"),
        ("9120.55", "AUD", "USD", "A$9,120.55"),
        ("-0.001", "AUD", "AUD", "$0.00"),
        ("0.005", "AUD", "AUD", "$0.01"),
        ("1234.5", "JPY", "AUD", "¥1,235"),
        ("1.2345", "KWD", "AUD", "KWD\u00a01.235"),
        ("-12", "EUR", "AUD", "\u2212€12.00"),
    ],
)
def test_money_text(amount, currency, home, expected):
    assert money_text(D(amount), currency, home) == expected


def test_money_mutes_its_cents():
    assert money(D("-1234.5"), "AUD") == '<span class="num">\u2212$1,234<span class="cents">.50</span></span>'
    assert money(D("1234"), "JPY", "AUD") == '<span class="num">¥1,234</span>'


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


@pytest.mark.parametrize(
    ("name", "expected"), [("Family wealth", "FW"), ("Everyday", "EV"), ("X", "X"), ("- loan a", "LA"), ("-", "-")]
)
def test_initials(name, expected):
    assert initials(name) == expected

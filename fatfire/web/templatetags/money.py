"""Money, changes and days as people read them, in their locale."""

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fatfire.web import formats
from services.analytics.queries import Difference

register = template.Library()


def money_text(amount: Decimal, currency: str, home: str) -> str:
    """Return the amount in the currency's minor unit, with a real minus sign: "US$1,234.50"."""
    return "".join(formats.money_figure(amount, currency, home))


@register.simple_tag
def money(amount: Decimal, currency: str, home: str = "") -> SafeString:
    """Show the amount, its cents muted. `home` is the currency that the page is in; without it, this one."""
    whole, decimals, end = formats.money_figure(amount, currency, home or currency)
    muted = format_html('<span class="cents">{}</span>', decimals) if decimals else ""
    sign = format_html('<span class="sign">{}</span>', end) if end else ""
    return format_html('<span class="num">{}{}{}</span>', whole, muted, sign)


@register.simple_tag
def whole_change(difference: Difference, currency: str, *, owed: bool = False) -> str:
    """Return the difference in whole units with its sign: "+$50,107". `owed`: of the size of a debt, which is ≤ 0."""
    amount = (-difference.absolute if owed else difference.absolute).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return formats.whole_money_text(amount, currency)


@register.inclusion_tag("web/_change.html")
def change(difference: Difference, *, owed: bool = False) -> dict[str, Any]:
    """Show by how many percent something went up or down: the arrow says which, the colour whether that is good.

    `owed`: it is a debt (≤ 0); its size is shown, and less of it is good.
    """
    percent = difference.percent
    if percent is None:
        return {"tone": "flat", "glyph": "•", "word": "", "text": "new" if difference.absolute else "no change"}
    size = -percent if owed else percent
    if size == 0:
        return {"tone": "flat", "glyph": "•", "word": "unchanged", "text": formats.percent_text(size)}
    is_good = (size > 0) != owed
    return {
        "tone": "gain" if is_good else "loss",
        "glyph": "▲" if size > 0 else "▼",
        "word": "up" if size > 0 else "down",
        "text": formats.percent_text(size, with_plus=True),
    }


@register.filter
def percent(number: Decimal) -> str:
    """Return a number of percent with one decimal: "58.1%"."""
    return formats.percent_text(number, digits=1)


@register.filter
def day(on: dt.date) -> SafeString | str:
    """Show a day; the names of months of another language are marked as such, for screen readers."""
    return _in_language(formats.day_text(on))


@register.simple_tag
def moment(at: dt.datetime, time_zone: str) -> SafeString | str:
    """Show the day and the minute of a moment in the time zone."""
    return _in_language(formats.moment_text(at, time_zone))


def _in_language(text: str) -> SafeString | str:
    language = formats.language()
    if language == "en" or not any(letter.isalpha() for letter in text):
        return text
    return format_html('<span lang="{}">{}</span>', language, text)


@register.filter
def initials(name: str) -> str:
    """Return two letters to recognise a name by: of "Family wealth", "FW"; of "Everyday", "EV"."""
    words = [word for word in name.split() if word[0].isalnum()] or [name]
    letters = words[0][0] + words[1][0] if len(words) > 1 else words[0][:2]
    return letters.upper()

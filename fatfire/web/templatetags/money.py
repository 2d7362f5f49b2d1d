"""Money and changes as people read them."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fatfire.kit.money import MINOR_DIGITS, round_to_minor
from services.analytics.queries import Difference

register = template.Library()

MINUS = "\N{MINUS SIGN}"
_AT_HOME = {"AUD": "$", "CAD": "$", "HKD": "$", "NZD": "$", "SGD": "$", "USD": "$"}
_SYMBOLS = {
    "AUD": "A$", "BRL": "R$", "CAD": "CA$", "EUR": "€", "GBP": "£", "HKD": "HK$", "ILS": "₪", "INR": "₹", "JPY": "¥",
    "KRW": "₩", "MXN": "MX$", "NZD": "NZ$", "PHP": "₱", "SGD": "S$", "USD": "US$", "VND": "₫",
}  # fmt: skip


def symbol_of(currency: str, home: str) -> str:
    """Return the currency's sign for someone who reckons in `home`: a dollar that isn't theirs says whose it is."""
    at_home = _AT_HOME.get(currency) if currency == home else None
    return at_home or _SYMBOLS.get(currency) or f"{currency}\N{NO-BREAK SPACE}"


def money_text(amount: Decimal, currency: str, home: str) -> str:
    """Return the amount in the currency's minor unit, with a real minus sign: "US$1,234.50"."""
    rounded = round_to_minor(amount, currency)
    sign = MINUS if rounded < 0 else ""
    return f"{sign}{symbol_of(currency, home)}{abs(rounded):,.{MINOR_DIGITS[currency]}f}"


@register.simple_tag
def money(amount: Decimal, currency: str, home: str = "") -> SafeString:
    """Show the amount, its cents muted. `home` is the currency that the page is in; without it, this one."""
    whole, point, cents = money_text(amount, currency, home or currency).partition(".")
    muted = format_html('<span class="cents">.{}</span>', cents) if point else ""
    return format_html('<span class="num">{}{}</span>', whole, muted)


@register.simple_tag
def whole_change(difference: Difference, currency: str, *, owed: bool = False) -> str:
    """Return the difference in whole units with its sign: "+$50,107". `owed`: of the size of a debt, which is ≤ 0."""
    amount = (-difference.absolute if owed else difference.absolute).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    sign = "+" if amount > 0 else MINUS if amount < 0 else ""
    return f"{sign}{symbol_of(currency, currency)}{abs(amount):,.0f}"


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
        return {"tone": "flat", "glyph": "•", "word": "unchanged", "text": "0.00%"}
    is_good = (size > 0) != owed
    return {
        "tone": "gain" if is_good else "loss",
        "glyph": "▲" if size > 0 else "▼",
        "word": "up" if size > 0 else "down",
        "text": f"{'+' if size > 0 else MINUS}{abs(size):,.2f}%",
    }


@register.filter
def initials(name: str) -> str:
    """Return two letters to recognise a name by: of "Family wealth", "FW"; of "Everyday", "EV"."""
    words = [word for word in name.split() if word[0].isalnum()] or [name]
    letters = words[0][0] + words[1][0] if len(words) > 1 else words[0][:2]
    return letters.upper()

"""The currency that totals are shown in: a person's choice, for all portfolios of the household.

It is kept in their session, as who compares portfolios wants them in one currency, and goes with the household: nothing
of it is another person's business. Without a choice each portfolio shows its own. What has no rate can't be converted:
such a portfolio stays in its own currency, whatever was chosen.
"""

from dataclasses import dataclass

from django.http import HttpRequest

from fatfire.kit.money import require_currency
from services.core import queries as core
from services.core.models import Portfolio
from services.exchange import queries as exchange

_CURRENCY = "currency"
_COMMON = ("EUR", "USD", "GBP", "AUD", "CAD", "CHF", "JPY", "NZD")


@dataclass(frozen=True, slots=True)
class Display:
    """What totals are shown in, what is the portfolio's `own`, and what may be chosen: `likely` first, then `others`.

    `is_chosen`: the person asked for it, for all portfolios.
    """

    currency: str
    own: str
    is_chosen: bool
    likely: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def is_converted(self) -> bool:
        """Whether the totals are not in the portfolio's own currency."""
        return self.currency != self.own


def display_of(request: HttpRequest, portfolio: Portfolio, *, home: str) -> Display:
    """Return how the portfolio's totals are shown; `home` is the household's currency. Two queries."""
    own, known = portfolio.currency, exchange.list_currencies()
    if own not in known:
        return Display(own, own, is_chosen=False, likely=(own,), others=())
    chosen: str = request.session.get(_CURRENCY, "")
    is_chosen = chosen in known
    wanted = dict.fromkeys((own, home, *core.asset_currencies(portfolio_id=portfolio.id), *_COMMON))
    likely = tuple(each for each in wanted if each in known)
    others = tuple(each for each in known if each not in wanted)
    return Display(chosen if is_chosen else own, own, is_chosen, likely, others)


def choose_currency(request: HttpRequest, currency: str) -> None:
    """Show totals in this currency from now on; empty: each portfolio's in its own.

    Raises:
        InvalidInput: not a currency of ISO 4217.
        RateUnknown: nothing can be converted into it.
    """
    if not currency:
        request.session.pop(_CURRENCY, None)
        return
    if require_currency(currency) not in exchange.list_currencies():
        raise exchange.RateUnknown
    request.session[_CURRENCY] = currency

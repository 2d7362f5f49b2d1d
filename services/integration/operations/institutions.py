"""The banks that can be linked, as the provider knows them. The network is never waited for inside a transaction."""

from django.conf import settings
from django.core.cache import cache

from services.integration.operations.provider import PROVIDER, open_bank
from services.integration.providers.plaid import MOST_FOUND, Institution

_KEPT_S = 900
LONGEST_QUERY = 80


def find_institutions(*, query: str) -> list[Institution]:
    """Return at most ten banks whose names match the query, best first; of an empty one, those that come first.

    Which come first is the provider's own order. These are asked for anew every quarter of an hour only: the page
    that offers them is opened often, and the provider bounds how often a client may ask.

    Raises:
        BankNotConfigured: no provider is set up here.
        BankUnavailable: try again later.
    """
    bank = open_bank()
    wanted = " ".join(query.split())[:LONGEST_QUERY]
    if wanted:
        return bank.search_institutions(wanted)
    kept_as = f"{PROVIDER}-first:{settings.PLAID_URL}:{','.join(settings.PLAID_COUNTRY_CODES)}"
    first: list[Institution] | None = cache.get(kept_as)
    if first is None:
        first = bank.first_institutions(MOST_FOUND)
        cache.set(kept_as, first, _KEPT_S)
    return first

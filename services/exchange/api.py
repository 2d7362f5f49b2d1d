"""Exchange rates over HTTP."""

from django.http import HttpRequest
from ninja import Router

from fatfire.kit.clock import now
from fatfire.kit.schemas import CurrencyCode, Day
from services.exchange import queries
from services.exchange.schemas import RateOut

router = Router(tags=["Exchange rates"])


@router.get("/rates", response=RateOut)
def get_rate(request: HttpRequest, base: CurrencyCode, quote: CurrencyCode, on: Day | None = None) -> RateOut:
    """Show the European Central Bank's rate between two currencies on a day (today, where it is left out)."""
    found = queries.quote(base=base, quote=quote, on=on or now().date())
    return RateOut(
        base=found.base, quote=found.quote, rate=f"{found.rate:.10f}", on=found.on, estimated=found.estimated
    )

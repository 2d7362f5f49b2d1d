"""Reading policies, in the open scope. Lists come as querysets in no order, to be paginated."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from services.core import queries as core
from services.insurance.models import Policy, PremiumFrequency


def list_policies(*, portfolio_id: UUID | None = None) -> QuerySet[Policy]:
    """Return the tenant's policies, of one portfolio where it is given."""
    policies = Policy.objects.filter(portfolio__in=core.list_portfolios())
    return policies if portfolio_id is None else policies.filter(portfolio_id=portfolio_id)


def get_policy(*, policy_id: UUID) -> Policy:
    """Return one policy.

    Raises:
        Policy.DoesNotExist: not this tenant's.
    """
    return list_policies().get(id=policy_id)


def yearly_cost(*, portfolio_id: UUID, on: dt.date) -> dict[str, Decimal]:
    """Return what the portfolio's policies in force on the day `on` cost a year, by currency.

    Exact: a year is a whole number of payments (weekly 52, fortnightly 26), so nothing is rounded. A policy without a
    premium counts as 0; a currency in which no policy is in force is absent.
    """
    in_force = (
        Q(starts_on__lte=on)
        & (Q(ends_on__isnull=True) | Q(ends_on__gte=on) | Q(renews_automatically=True))
        & (Q(cancelled_on__isnull=True) | Q(cancelled_on__gt=on))
    )
    # Multiplied here and not in SQL, where the largest premiums would overflow.
    sums = (
        list_policies(portfolio_id=portfolio_id)
        .filter(in_force)
        .values_list("currency", "premium_frequency")
        .annotate(Sum("premium"))
    )
    cost: dict[str, Decimal] = {}
    for currency, frequency, premium in sums.order_by("currency"):
        cost[currency] = cost.get(currency, Decimal(0)) + premium * PremiumFrequency(frequency).payments_a_year
    return cost

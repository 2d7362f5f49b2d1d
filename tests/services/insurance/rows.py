"""For the guard of the isolation: a policy, on an asset."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db.models import Model

from services.core.models import Portfolio
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from services.insurance.operations import PolicyFacts, create_policy
from tests.factories import AT, TODAY, make_asset, make_portfolio


def policy_facts(portfolio: Portfolio, **said: Any) -> PolicyFacts:
    """Return facts that are valid as they are, but for what is said."""
    facts = PolicyFacts(
        portfolio_id=portfolio.id,
        kind=PolicyKind.HOME,
        insurer="Coastal Mutual",
        currency="AUD",
        premium=Decimal("118.40"),
        premium_frequency=PremiumFrequency.MONTHLY,
        starts_on=TODAY,
    )
    return replace(facts, **said)


def make_policy(portfolio: Portfolio, **said: Any) -> Policy:
    return create_policy(facts=policy_facts(portfolio, **said), at=AT)


def _on_asset() -> Policy:
    asset = make_asset(make_portfolio())
    return make_policy(asset.portfolio, asset_id=asset.id)


ROWS: dict[str, Callable[[], Model]] = {"insurance.Policy": _on_asset}

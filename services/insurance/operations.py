"""Writing policies."""

import datetime as dt
from dataclasses import asdict, dataclass
from decimal import Decimal
from uuid import UUID

from fatfire.kit.batches import delete_some
from fatfire.kit.clock import require_day
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import require_amount, require_currency
from services.core import operations as core_operations
from services.core import queries as core
from services.insurance import queries
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from tenants import audit
from tenants.conflicts import conflict_means

# What other services may name: of this one they may import only operations, queries and jobs.
__all__ = ["Policy", "PolicyKind", "PremiumFrequency"]


class PolicyNumberTaken(DomainError):
    """Another policy of this insurer has this number."""

    code = "policy_number_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """All that a person says of a policy; each field means what the model's of the same name does."""

    portfolio_id: UUID
    kind: PolicyKind
    insurer: str
    currency: str
    premium: Decimal
    premium_frequency: PremiumFrequency
    starts_on: dt.date
    asset_id: UUID | None = None
    number: str = ""
    person_name: str = ""
    sum_insured: Decimal | None = None
    excess: Decimal | None = None
    ends_on: dt.date | None = None
    renews_automatically: bool = False
    cancelled_on: dt.date | None = None
    note: str = ""


def create_policy(*, facts: PolicyFacts, at: dt.datetime) -> Policy:
    """Record a policy of the open scope's tenant.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is.
        Asset.DoesNotExist: not of the portfolio.
        PolicyNumberTaken: another policy of the insurer has the number (both in whatever case).
        InvalidInput: an amount, a day or the currency can't be; it names the field.
    """
    _require_valid(facts)
    with conflict_means("insurance_policy_number_once", PolicyNumberTaken):
        policy = Policy.objects.create(**asdict(facts), created_at=at)
    audit.record(
        action="create", subject="policy", subject_id=policy.id, at=at, kind=policy.kind, insurer=policy.insurer
    )
    return policy


def update_policy(*, policy_id: UUID, facts: PolicyFacts, at: dt.datetime) -> Policy:
    """Replace all that is said of the policy; repeatable: the same facts again change nothing and leave no event.

    Raises:
        Policy.DoesNotExist: not this tenant's.
        Portfolio.DoesNotExist, Asset.DoesNotExist, PolicyNumberTaken, InvalidInput: as for `create_policy`.
    """
    policy = queries.list_policies().select_for_update(no_key=True, of=("self",)).get(id=policy_id)
    _require_valid(facts)
    changed = {name: value for name, value in asdict(facts).items() if getattr(policy, name) != value}
    if not changed:
        return policy
    with conflict_means("insurance_policy_number_once", PolicyNumberTaken):
        Policy.objects.filter(id=policy_id).update(**changed)
    audit.record(action="update", subject="policy", subject_id=policy_id, at=at, changed=sorted(changed))
    return Policy.objects.get(id=policy_id)


def delete_policy(*, policy_id: UUID, at: dt.datetime) -> None:
    """Remove a policy that was recorded by mistake; one that ended is better kept, with its end.

    Raises:
        Policy.DoesNotExist: not this tenant's.
    """
    policy = queries.list_policies().select_for_update(of=("self",)).get(id=policy_id)
    policy.delete()
    audit.record(
        action="delete", subject="policy", subject_id=policy_id, at=at, kind=policy.kind, insurer=policy.insurer
    )


def delete_policies(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the policies of a portfolio that is being deleted, and return how many."""
    return delete_some(Policy.objects.filter(portfolio_id=portfolio_id), limit=limit)


def _require_valid(facts: PolicyFacts) -> None:
    core_operations.hold_portfolio(portfolio_id=facts.portfolio_id)
    if facts.asset_id is not None:
        core.list_assets(portfolio_id=facts.portfolio_id).get(id=facts.asset_id)
    _require_amounts(facts)
    _require_days(facts)


def _require_amounts(facts: PolicyFacts) -> None:
    currency = require_currency(facts.currency)
    for field, amount in (("premium", facts.premium), ("sum_insured", facts.sum_insured), ("excess", facts.excess)):
        if amount is None:
            continue
        require_amount(amount, currency, field=field)
        if amount < 0 or (amount == 0 and field == "sum_insured"):
            words = {"sum_insured": "More than zero; leave it out where there is none."}
            raise InvalidInput(words.get(field, "Zero or more."), field=field)


def _require_days(facts: PolicyFacts) -> None:
    for field in ("starts_on", "ends_on", "cancelled_on"):
        day: dt.date | None = getattr(facts, field)
        if day is None:
            continue
        require_day(day, field=field)
        if day < facts.starts_on:
            msg = "Not before the first day of cover."
            raise InvalidInput(msg, field=field)
    if facts.renews_automatically and facts.ends_on is None:
        msg = "Say on which day it renews."
        raise InvalidInput(msg, field="ends_on")

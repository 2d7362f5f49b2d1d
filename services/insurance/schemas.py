"""What the API takes and gives for policies. Money is exact text, its currency beside it."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.money import to_text
from fatfire.kit.schemas import Amount, AmountText, Body, CurrencyCode, Day
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from services.insurance.operations import PolicyFacts


class PolicyIn(Body):
    """A policy, whole. The currency is the portfolio's where it is left out; `ends_on` is the last day of cover."""

    portfolio_id: UUID
    asset_id: UUID | None = None
    kind: PolicyKind
    insurer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    number: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    person_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)] = ""
    currency: CurrencyCode | None = None
    sum_insured: Amount | None = None
    premium: Amount
    premium_frequency: PremiumFrequency
    excess: Amount | None = None
    starts_on: Day
    ends_on: Day | None = None
    renews_automatically: bool = False
    cancelled_on: Day | None = None
    note: str = Field("", max_length=500)

    def facts(self, *, currency: str) -> PolicyFacts:
        """Return what is said of the policy; `currency` where the client left it out."""
        return PolicyFacts(**{**self.model_dump(), "currency": self.currency or currency})


class PolicyOut(Schema):
    """A policy. `yearly_premium` is what a year of premiums costs."""

    id: UUID
    portfolio_id: UUID
    asset_id: UUID | None
    kind: PolicyKind
    insurer: str
    number: str
    person_name: str
    currency: CurrencyCode
    sum_insured: AmountText | None
    premium: AmountText
    premium_frequency: PremiumFrequency
    yearly_premium: AmountText
    excess: AmountText | None
    starts_on: dt.date
    ends_on: dt.date | None
    renews_automatically: bool
    cancelled_on: dt.date | None
    note: str
    created_at: dt.datetime

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Return what is shown of the policy."""

        def text(amount: Decimal | None) -> str | None:
            return None if amount is None else to_text(amount, policy.currency)

        return cls(
            id=policy.id,
            portfolio_id=policy.portfolio_id,
            asset_id=policy.asset_id,
            kind=PolicyKind(policy.kind),
            insurer=policy.insurer,
            number=policy.number,
            person_name=policy.person_name,
            currency=policy.currency,
            sum_insured=text(policy.sum_insured),
            premium=to_text(policy.premium, policy.currency),
            premium_frequency=PremiumFrequency(policy.premium_frequency),
            yearly_premium=to_text(policy.yearly_premium, policy.currency),
            excess=text(policy.excess),
            starts_on=policy.starts_on,
            ends_on=policy.ends_on,
            renews_automatically=policy.renews_automatically,
            cancelled_on=policy.cancelled_on,
            note=policy.note,
            created_at=policy.created_at,
        )

"""What the API takes and gives for tax years. Money is exact text, its currency beside it."""

import datetime as dt
from typing import Annotated, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.money import to_text
from fatfire.kit.schemas import Amount, AmountText, Body, CurrencyCode, Day
from services.tax.models import FIRST_YEAR, LAST_YEAR, Jurisdiction, Status, TaxYear
from services.tax.operations import TaxYearFacts


class TaxYearIn(Body):
    """A tax year, whole: of a person by name, in a country by code, beginning in the calendar year `starts_in`.

    The days say how far it has come. `assessment` is the result: positive is refunded, negative is owed.
    """

    person_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    jurisdiction: Jurisdiction
    starts_in: int = Field(ge=FIRST_YEAR, le=LAST_YEAR, strict=True)
    lodged_on: Day | None = None
    assessed_on: Day | None = None
    assessment: Amount | None = None
    note: str = Field("", max_length=500)

    def facts(self) -> TaxYearFacts:
        """Return what is said of the tax year."""
        return TaxYearFacts(**self.model_dump())


class TaxYearOut(Schema):
    """A tax year, with what people call it and its first and last day."""

    id: UUID
    person_name: str
    jurisdiction: Jurisdiction
    starts_in: int
    label: Annotated[str, Field(examples=["2026-27"])]
    starts_on: dt.date
    ends_on: dt.date
    status: Status
    lodged_on: dt.date | None
    assessed_on: dt.date | None
    assessment: AmountText | None
    currency: CurrencyCode
    note: str
    created_at: dt.datetime

    @classmethod
    def of(cls, tax_year: TaxYear) -> Self:
        """Return what is shown of the tax year."""
        result = tax_year.assessment
        return cls(
            id=tax_year.id,
            person_name=tax_year.person_name,
            jurisdiction=Jurisdiction(tax_year.jurisdiction),
            starts_in=tax_year.starts_in,
            label=tax_year.label,
            starts_on=tax_year.starts_on,
            ends_on=tax_year.ends_on,
            status=tax_year.status,
            lodged_on=tax_year.lodged_on,
            assessed_on=tax_year.assessed_on,
            assessment=None if result is None else to_text(result, tax_year.currency),
            currency=tax_year.currency,
            note=tax_year.note,
            created_at=tax_year.created_at,
        )

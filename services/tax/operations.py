"""Writing tax years."""

import datetime as dt
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from fatfire.kit.clock import local_date, require_day
from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import require_amount
from services.accounts import queries as accounts
from services.tax.models import FIRST_YEAR, LAST_YEAR, Jurisdiction, TaxYear
from tenants import audit
from tenants.conflicts import conflict_means

# What other services may name: of this one they may import only operations, queries and jobs.
__all__ = ["Jurisdiction", "TaxYear"]


class TaxYearExists(DomainError):
    """This person has this tax year already."""

    code = "tax_year_exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxYearFacts:
    """All that a person says of a tax year; each field means what the model's of the same name does."""

    person_name: str
    jurisdiction: Jurisdiction
    starts_in: int
    lodged_on: dt.date | None = None
    assessed_on: dt.date | None = None
    assessment: Decimal | None = None
    note: str = ""


def create_tax_year(*, facts: TaxYearFacts, at: dt.datetime) -> TaxYear:
    """Record a tax year of someone in the open scope's tenant.

    Raises:
        TaxYearExists: the person (in whatever case) has the year in the jurisdiction already.
        InvalidInput: a day, the year or the assessment can't be; it names the field.
    """
    _require_valid(facts, at)
    with conflict_means("tax_taxyear_once_a_person", TaxYearExists):
        tax_year = TaxYear.objects.create(**asdict(facts), created_at=at)
    _record("create", tax_year, at=at, year=tax_year.label)
    return tax_year


def update_tax_year(*, tax_year_id: UUID, facts: TaxYearFacts, at: dt.datetime) -> TaxYear:
    """Replace all that is said of the tax year; repeatable: the same facts again change nothing and leave no event.

    Raises:
        TaxYear.DoesNotExist: not this tenant's.
        TaxYearExists, InvalidInput: as for `create_tax_year`.
    """
    tax_year = TaxYear.objects.select_for_update(no_key=True).get(id=tax_year_id)
    _require_valid(facts, at)
    changed = {name: value for name, value in asdict(facts).items() if getattr(tax_year, name) != value}
    if not changed:
        return tax_year
    with conflict_means("tax_taxyear_once_a_person", TaxYearExists):
        TaxYear.objects.filter(id=tax_year_id).update(**changed)
    _record("update", tax_year, at=at, changed=sorted(changed))
    return TaxYear.objects.get(id=tax_year_id)


def delete_tax_year(*, tax_year_id: UUID, at: dt.datetime) -> None:
    """Remove a tax year.

    Raises:
        TaxYear.DoesNotExist: not this tenant's.
    """
    tax_year = TaxYear.objects.select_for_update().get(id=tax_year_id)
    _record("delete", tax_year, at=at, year=tax_year.label)
    tax_year.delete()


def _record(action: str, tax_year: TaxYear, *, at: dt.datetime, **details: Any) -> None:
    audit.record(action=action, subject="tax_year", subject_id=tax_year.id, at=at, **details)


def _require_valid(facts: TaxYearFacts, at: dt.datetime) -> None:
    if not FIRST_YEAR <= facts.starts_in <= LAST_YEAR:
        msg = f"A year from {FIRST_YEAR} to {LAST_YEAR}."
        raise InvalidInput(msg, field="starts_in")
    _require_days(facts, today=local_date(at, accounts.current_tenant().time_zone))
    if facts.assessment is not None:
        require_amount(facts.assessment, facts.jurisdiction.currency, field="assessment")
        if facts.assessed_on is None:
            msg = "Say on which day it was assessed."
            raise InvalidInput(msg, field="assessed_on")


def _require_days(facts: TaxYearFacts, *, today: dt.date) -> None:
    lodged_on, assessed_on = facts.lodged_on, facts.assessed_on
    if lodged_on is not None:
        require_day(lodged_on, latest=today, field="lodged_on")
        if lodged_on.year < facts.starts_in:
            msg = "Not before the tax year begins."
            raise InvalidInput(msg, field="lodged_on")
    if assessed_on is not None:
        require_day(assessed_on, latest=today, field="assessed_on")
        if lodged_on is None:
            msg = "Say on which day it was lodged: that comes before the assessment."
            raise InvalidInput(msg, field="lodged_on")
        if assessed_on < lodged_on:
            msg = "Not before the return was lodged."
            raise InvalidInput(msg, field="assessed_on")

"""For the guard of the isolation: a tax year."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db.models import Model

from services.tax.models import Jurisdiction, TaxYear
from services.tax.operations import TaxYearFacts, create_tax_year
from tests.factories import AT

_numbers = itertools.count(1)


def tax_year_facts(**said: Any) -> TaxYearFacts:
    """Return facts that are valid as they are, but for what is said; each of another person."""
    facts = TaxYearFacts(person_name=f"Alex {next(_numbers)}", jurisdiction=Jurisdiction.AU, starts_in=2025)
    return replace(facts, **said)


def make_tax_year(**said: Any) -> TaxYear:
    return create_tax_year(facts=tax_year_facts(**said), at=AT)


ROWS: dict[str, Callable[[], Model]] = {"tax.TaxYear": make_tax_year}

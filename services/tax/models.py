"""Tax years."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from fatfire.kit import clock
from fatfire.kit.money import optional_money_field
from tenants.models import TenantModel

FIRST_YEAR, LAST_YEAR = 1900, 2199


class Jurisdiction(models.TextChoices):
    """Whose tax law a year is of: a country by its ISO 3166 code."""

    AU = "AU", "Australia"
    GB = "GB", "United Kingdom"
    NZ = "NZ", "New Zealand"
    US = "US", "United States"

    @property
    def currency(self) -> str:
        """The currency that it assesses in."""
        return _RULES[self].currency

    def starts_on(self, starts_in: int) -> dt.date:
        """Return the first day of the tax year that begins in the calendar year `starts_in`."""
        month, day = _RULES[self].first_day
        return dt.date(starts_in, month, day)

    def ends_on(self, starts_in: int) -> dt.date:
        """Return the last day of that tax year."""
        return self.starts_on(starts_in + 1) - dt.timedelta(days=1)

    def year_label(self, starts_in: int) -> str:
        """Return what people call that tax year: "2026-27", or "2026" where it is the calendar year."""
        ends_in = self.ends_on(starts_in).year
        return str(starts_in) if ends_in == starts_in else f"{starts_in}-{ends_in % 100:02}"


@dataclass(frozen=True, slots=True)
class _Rules:
    first_day: tuple[int, int]
    currency: str


# An individual's tax year. Source: AU Acts Interpretation Act 1901 s 2B ("financial year"), with Income Tax Assessment
# Act 1997 s 4-10; GB Income Tax Act 2007 s 4(3); NZ Income Tax Act 2007 s YA 1 ("tax year"); US 26 USC 441(d) and (g).
_RULES = {
    Jurisdiction.AU: _Rules((7, 1), "AUD"),
    Jurisdiction.GB: _Rules((4, 6), "GBP"),
    Jurisdiction.NZ: _Rules((4, 1), "NZD"),
    Jurisdiction.US: _Rules((1, 1), "USD"),
}


class Status(models.TextChoices):
    """How far a tax year has come."""

    OPEN = "open", "Open"
    LODGED = "lodged", "Lodged"
    ASSESSED = "assessed", "Assessed"


class TaxYear(TenantModel):
    """One person's tax year in one country, and how far its return has come: the days say which status it has.

    The person is a name and no membership: who owes tax needn't sign in (a child, a late parent), and the year stays
    when a member leaves.
    """

    person_name = models.CharField(max_length=120)
    jurisdiction = models.CharField(max_length=2, choices=Jurisdiction.choices)
    starts_in = models.SmallIntegerField()  # the calendar year of its first day
    lodged_on = models.DateField(null=True)
    assessed_on = models.DateField(null=True)
    # The result of the assessment in the jurisdiction's currency: positive is refunded, negative is owed.
    assessment = optional_money_field()
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                F("tenant"), Lower("person_name"), "jurisdiction", "starts_in", name="tax_taxyear_once_a_person"
            ),
            models.CheckConstraint(condition=~Q(person_name=""), name="tax_taxyear_person_named"),
            models.CheckConstraint(
                condition=Q(jurisdiction__in=Jurisdiction.values), name="tax_taxyear_jurisdiction_known"
            ),
            models.CheckConstraint(
                condition=Q(starts_in__range=(FIRST_YEAR, LAST_YEAR)), name="tax_taxyear_year_plausible"
            ),
            # Those who leave a country may lodge before the year ends, never before it begins.
            models.CheckConstraint(
                condition=Q(lodged_on__year__gte=F("starts_in")), name="tax_taxyear_lodged_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(assessed_on__isnull=True) | Q(lodged_on__isnull=False, assessed_on__gte=F("lodged_on")),
                name="tax_taxyear_assessed_after_lodged",
            ),
            models.CheckConstraint(
                condition=Q(assessment__isnull=True) | Q(assessed_on__isnull=False),
                name="tax_taxyear_assessment_when_assessed",
            ),
        ]
        indexes: ClassVar = [
            # A tenant's tax years, newest first.
            models.Index(fields=["tenant", "-starts_in", "-id"], name="tax_taxyear_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.person_name} {self.jurisdiction} {self.label}"

    @property
    def label(self) -> str:
        """What people call the year: "2026-27"."""
        return Jurisdiction(self.jurisdiction).year_label(self.starts_in)

    @property
    def starts_on(self) -> dt.date:
        """Its first day."""
        return Jurisdiction(self.jurisdiction).starts_on(self.starts_in)

    @property
    def ends_on(self) -> dt.date:
        """Its last day."""
        return Jurisdiction(self.jurisdiction).ends_on(self.starts_in)

    @property
    def currency(self) -> str:
        """The currency of its assessment."""
        return Jurisdiction(self.jurisdiction).currency

    @property
    def status(self) -> Status:
        """How far it has come."""
        if self.assessed_on is not None:
            return Status.ASSESSED
        return Status.OPEN if self.lodged_on is None else Status.LODGED

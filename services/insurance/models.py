"""Insurance policies."""

import datetime as dt
from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from fatfire.kit import clock
from fatfire.kit.money import MoneyField, optional_money_field
from tenants.models import SameTenant, TenantForeignKey, TenantModel


class PolicyKind(models.TextChoices):
    """What a policy insures."""

    HOME = "home", "Home"
    CONTENTS = "contents", "Contents"
    HOME_AND_CONTENTS = "home_and_contents", "Home and contents"
    LANDLORD = "landlord", "Landlord"
    MOTOR = "motor", "Car or other vehicle"
    HEALTH = "health", "Health"
    LIFE = "life", "Life"
    INCOME_PROTECTION = "income_protection", "Income protection"
    TRAVEL = "travel", "Travel"
    OTHER = "other", "Something else"


class PremiumFrequency(models.TextChoices):
    """How often the premium is paid."""

    WEEKLY = "weekly", "Weekly"
    FORTNIGHTLY = "fortnightly", "Fortnightly"
    MONTHLY = "monthly", "Monthly"
    QUARTERLY = "quarterly", "Quarterly"
    HALF_YEARLY = "half_yearly", "Twice a year"
    YEARLY = "yearly", "Yearly"

    @property
    def payments_a_year(self) -> int:
        """How many payments a year has; of 52 weeks, as insurers count."""
        return _PAYMENTS_A_YEAR[self]


_PAYMENTS_A_YEAR = {
    PremiumFrequency.WEEKLY: 52,
    PremiumFrequency.FORTNIGHTLY: 26,
    PremiumFrequency.MONTHLY: 12,
    PremiumFrequency.QUARTERLY: 4,
    PremiumFrequency.HALF_YEARLY: 2,
    PremiumFrequency.YEARLY: 1,
}


class Policy(TenantModel):
    """An insurance policy. Its amounts are in its own currency and never negative."""

    portfolio = TenantForeignKey("core.Portfolio", on_delete=models.PROTECT)
    asset = TenantForeignKey("core.Asset", on_delete=models.SET_NULL, null=True)  # what it covers, where that is kept
    kind = models.CharField(max_length=20, choices=PolicyKind.choices)
    insurer = models.CharField(max_length=120)
    number = models.CharField(max_length=60, blank=True)
    person_name = models.CharField(max_length=120, blank=True)  # whose life, health or income; a member or not
    currency = models.CharField(max_length=3)
    sum_insured = optional_money_field()  # NULL: there is none, as for health or third party
    premium = MoneyField()  # of one payment, with its taxes
    premium_frequency = models.CharField(max_length=12, choices=PremiumFrequency.choices)
    excess = optional_money_field()  # the part of a claim that the insured bears; NULL: not known
    starts_on = models.DateField()
    ends_on = models.DateField(null=True)  # the last day of cover, or of this period of it; NULL: open-ended
    renews_automatically = models.BooleanField(default=False)  # at the end of `ends_on`
    cancelled_on = models.DateField(null=True)  # the first day without cover
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "policies"
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("portfolio"),
            SameTenant("asset"),
            # A policy is recorded once: twice, its premium would count twice.
            models.UniqueConstraint(
                F("tenant"),
                Lower("insurer"),
                Lower("number"),
                condition=~Q(number=""),
                name="insurance_policy_number_once",
            ),
            models.CheckConstraint(condition=Q(kind__in=PolicyKind.values), name="insurance_policy_kind_known"),
            models.CheckConstraint(condition=~Q(insurer=""), name="insurance_policy_insurer_named"),
            models.CheckConstraint(
                condition=Q(premium_frequency__in=PremiumFrequency.values), name="insurance_policy_frequency_known"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z]{3}$"), name="insurance_policy_currency_is_a_code"
            ),
            models.CheckConstraint(condition=Q(sum_insured__gt=0), name="insurance_policy_sum_insured_is_positive"),
            models.CheckConstraint(condition=Q(premium__gte=0), name="insurance_policy_premium_is_not_negative"),
            models.CheckConstraint(condition=Q(excess__gte=0), name="insurance_policy_excess_is_not_negative"),
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")), name="insurance_policy_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(renews_automatically=False) | Q(ends_on__isnull=False),
                name="insurance_policy_renews_at_an_end",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_on__gte=F("starts_on")), name="insurance_policy_cancelled_after_it_starts"
            ),
        ]
        indexes: ClassVar = [
            # The policies of a tenant, or of one of its portfolios, oldest first.
            models.Index(fields=["tenant", "created_at", "id"], name="insurance_policy_oldest"),
            models.Index(fields=["tenant", "portfolio", "created_at", "id"], name="insurance_policy_of_portfolio"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.insurer}"

    @property
    def yearly_premium(self) -> Decimal:
        """What a year of premiums costs, in the policy's currency: whole payments, so nothing is rounded."""
        return self.premium * PremiumFrequency(self.premium_frequency).payments_a_year

    def is_in_force(self, on: dt.date) -> bool:
        """Return whether the policy covers on the day `on`; one that renews by itself does after its end too."""
        is_over = self.ends_on is not None and self.ends_on < on and not self.renews_automatically
        is_cancelled = self.cancelled_on is not None and self.cancelled_on <= on
        return self.starts_on <= on and not is_over and not is_cancelled

"""The rates by which currencies are converted."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Rate(models.Model):
    """How many units of `currency` one euro bought on a day, as published by the European Central Bank.

    `load` numbers the load that last changed the row, from 1: what was worked out with fewer loads may be out of date.
    """

    pk = models.CompositePrimaryKey("currency", "on")
    currency = models.CharField(max_length=3)
    on = models.DateField()
    per_euro = models.DecimalField(max_digits=28, decimal_places=10)
    load = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(per_euro__gt=0), name="exchange_rate_is_positive"),
        ]
        indexes: ClassVar = [
            # The newest load; and what changed since an earlier one.
            models.Index(fields=["load"], name="exchange_rate_by_load"),
        ]

    def __str__(self) -> str:
        return f"{self.on} 1 EUR = {self.per_euro} {self.currency}"

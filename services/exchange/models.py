"""The rates by which currencies are converted."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Rate(models.Model):
    """How many units of `currency` one euro bought on a day, as published by the European Central Bank."""

    pk = models.CompositePrimaryKey("currency", "on")
    currency = models.CharField(max_length=3)
    on = models.DateField()
    per_euro = models.DecimalField(max_digits=28, decimal_places=10)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(per_euro__gt=0), name="exchange_rate_is_positive"),
        ]
        indexes: ClassVar = [
            # The newest day of all.
            models.Index(fields=["-on"], name="exchange_rate_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.on} 1 EUR = {self.per_euro} {self.currency}"

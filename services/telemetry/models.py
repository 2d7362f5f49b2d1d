"""The record of what ran."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.models import TenantIsolation, TenantModel, platform_tenant_key


class Invocation(TenantModel):
    """One request or one attempt at a job's step. Rows are only ever added."""

    class Kind(models.TextChoices):
        """What entered."""

        REQUEST = "request"
        JOB = "job"

    class Outcome(models.TextChoices):
        """How it ended."""

        OK = "ok"
        REFUSED = "refused"  # the caller's fault: a 4xx, or a DomainError
        RETRIED = "retried"  # a job that will be tried again
        FAILED = "failed"  # ours: a 5xx, or an unexpected error

    tenant = platform_tenant_key()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=120)  # "GET /api/v1/portfolios/{portfolio_id}", or the job's kind and step
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    status = models.PositiveSmallIntegerField(null=True)  # of a request
    error_code = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    cold_start = models.BooleanField(default=False)  # the first of its process
    request_id = models.CharField(max_length=64)  # the same for a request and the jobs that it queued
    job_id = models.UUIDField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            TenantIsolation(privileges="SELECT, INSERT"),
            models.UniqueConstraint(fields=["tenant", "id"], name="telemetry_invocation_tenant_id"),
            models.CheckConstraint(
                condition=(Q(kind="job") & Q(job_id__isnull=False)) | (Q(kind="request") & Q(status__isnull=False)),
                name="telemetry_invocation_of_a_request_or_job",
            ),
        ]
        indexes: ClassVar = [
            # The newest of a tenant, and of one name within it.
            models.Index(fields=["tenant", "-started_at"], name="telemetry_newest"),
            # The newest of all, for operators; the oldest, for retention.
            models.Index(fields=["-started_at"], name="telemetry_newest_of_all"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.outcome} in {self.duration_ms} ms"


class RequestCount(models.Model):
    """How many requests ended alike within a minute, of those that aren't recorded one by one.

    These are nobody's (signed out, unknown key) and those past a key's limit: anybody can make any number of them, but
    only so many rows a minute as there are routes and answers.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    minute = models.DateTimeField()  # when it began
    name = models.CharField(max_length=120)  # as an invocation's
    status = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=60, blank=True)
    requests = models.PositiveBigIntegerField()
    duration_ms = models.PositiveBigIntegerField()  # of all of them together

    class Meta:
        constraints: ClassVar = [
            # Begins with the minute: it also finds the newest, and what retention deletes.
            models.UniqueConstraint(
                fields=["minute", "name", "status", "error_code"], name="telemetry_one_count_per_minute"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requests} x {self.name} {self.status}"

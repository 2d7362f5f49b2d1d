"""Jobs and their steps: the only record of background work. A message merely says "look at job 42"."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from fatfire.kit import clock
from tenants.models import SameTenant, TenantForeignKey, TenantModel, platform_tenant_key


class State(models.TextChoices):
    """Where a job or a step is. Only the first three change again by themselves."""

    BLOCKED = "blocked"  # a step that waits for others
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (State.QUEUED, State.RUNNING)
"""The states of a job that has not ended."""


class Job(TenantModel):
    """One piece of background work on one subject (a link, a portfolio, …). Without a tenant it is the platform's."""

    tenant = platform_tenant_key()
    kind = models.CharField(max_length=60)
    subject_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    run_again = models.BooleanField(default=False)  # asked for once more after it had begun
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(null=True)
    progress_note = models.CharField(max_length=200, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["tenant", "kind", "subject_id"],
                condition=Q(state__in=["queued", "running"]),
                nulls_distinct=False,
                name="jobs_one_open_job_per_subject",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"]) ^ Q(finished_at__isnull=False),
                name="jobs_finished_has_a_time",
            ),
        ]
        indexes: ClassVar = [
            # The newest jobs of a tenant.
            models.Index(fields=["tenant", "-created_at", "-id"], name="jobs_job_newest"),
            # The newest of all tenants, for operators.
            models.Index(fields=["-created_at", "-id"], name="jobs_job_newest_of_all"),
            # What ended, of all tenants: lately for operators, longest ago for retention.
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="jobs_job_finished"),
            # The newest job of each of some subjects (queries.newest_jobs), and the jobs of one.
            models.Index(fields=["tenant", "subject_id", "-created_at", "-id"], name="jobs_job_newest_of_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id or ''} {self.state}"


class JobStep(TenantModel):
    """One step of a job: what a worker claims. `attempts` only grows; a claim holds while it is unchanged."""

    tenant = platform_tenant_key()
    # A foreign key of two columns doesn't hold where the tenant is NULL (the platform's jobs); the plain one does.
    job = TenantForeignKey(Job, on_delete=models.CASCADE, related_name="steps", db_constraint=True)
    name = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State.choices)
    attempts = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)  # failed or lost attempts since the job was last asked for
    run_after = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)  # when a message about it was last sent
    lease_until = models.DateTimeField(null=True)
    input = models.JSONField(default=dict)
    output = models.JSONField(default=dict)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("job"),
            models.UniqueConstraint(fields=["tenant", "job", "name"], nulls_distinct=False, name="jobs_step_once"),
            models.CheckConstraint(
                condition=Q(state="running") ^ Q(lease_until__isnull=True), name="jobs_running_step_has_a_lease"
            ),
        ]
        indexes: ClassVar = [
            # The sweep, across tenants: what is due and what was lost.
            models.Index(fields=["run_after"], condition=Q(state="queued"), name="jobs_step_due"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="jobs_step_leased"),
            # A job's steps across tenants: for the console, the platform's claims, and the key when a job is deleted.
            models.Index(fields=["job"], name="jobs_step_of_job"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.job_id} {self.state}"

    @property
    def title(self) -> str:
        """The name as people read it: "Remove links"."""
        return self.name.replace("_", " ").capitalize()

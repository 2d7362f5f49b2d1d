"""Indexes for what operators and retention ask of all tenants; built beside the running release, in no transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0002_for_anyone")]

    operations = [
        AddIndexConcurrently("job", models.Index(fields=["-created_at", "-id"], name="jobs_job_newest_of_all")),
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["finished_at"],
                condition=models.Q(("finished_at__isnull", False)),
                name="jobs_job_finished",
            ),
        ),
        AddIndexConcurrently("jobstep", models.Index(fields=["job"], name="jobs_step_of_job")),
    ]

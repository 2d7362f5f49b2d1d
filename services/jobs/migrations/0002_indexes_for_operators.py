"""Indexes for what operators ask of all tenants at once; built beside the running release, without holding it up."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0001_initial")]

    operations = [
        AddIndexConcurrently("job", models.Index(fields=["-created_at", "-id"], name="jobs_job_newest_of_all")),
        AddIndexConcurrently("job", models.Index(fields=["finished_at"], name="jobs_job_ended")),
        AddIndexConcurrently("jobstep", models.Index(fields=["job"], name="jobs_step_of_job")),
    ]

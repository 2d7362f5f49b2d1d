"""Indexes for deleting old jobs; made without stopping who writes, hence in no transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("jobs", "0002_for_anyone")]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                fields=["finished_at"],
                condition=models.Q(("finished_at__isnull", False)),
                name="jobs_job_finished",
            ),
        ),
        AddIndexConcurrently(model_name="jobstep", index=models.Index(fields=["job"], name="jobs_step_of_job")),
    ]

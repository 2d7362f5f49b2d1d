"""Queueing a job of the platform before anybody is known. A kind is added to the list by a later migration."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        create_lookup(
            "enqueue_for_anyone(kind text, subject uuid, at timestamptz, request_id text)",
            returns="uuid",
            body="""
                WITH job AS (
                    INSERT INTO public.jobs_job (id, kind, subject_id, state, run_again, progress_done, progress_note,
                        error_code, error_detail, request_id, created_at)
                    SELECT gen_random_uuid(), $1, $2, 'queued', false, 0, '', '', '', left($4, 64), $3
                    WHERE $1 = ANY ('{accounts.send_sign_in_link}')
                    RETURNING id
                ), step AS (
                    INSERT INTO public.jobs_jobstep (id, job_id, name, position, state, attempts, retries, run_after,
                        sent_at, input, output, error_code, error_detail)
                    SELECT gen_random_uuid(), id, 'run', 0, 'queued', 0, 0, $3, $3, '{}', '{}', '', '' FROM job
                )
                SELECT id FROM job
            """,
        ),
    ]

"""Recording a request that no tenant made."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_initial"), ("tenants", "0002_functions")]

    operations = [
        create_lookup(
            "record_anonymous_request("
            "name text, outcome text, status int, error_code text, started_at timestamptz, duration_ms int, "
            "cold_start boolean, request_id text)",
            returns="void",
            body="""
                INSERT INTO public.telemetry_invocation
                    (id, kind, name, outcome, status, error_code, started_at, duration_ms, cold_start, request_id)
                VALUES (gen_random_uuid(), 'request', $1, $2, $3, $4, $5, $6, $7, $8)
            """,
        ),
    ]

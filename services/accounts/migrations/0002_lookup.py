"""Finding the tenant of an API key."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("tenants", "0002_functions")]

    operations = [
        create_lookup(
            "api_key(wanted bytea)",
            returns="TABLE (tenant_id uuid, api_key_id uuid)",
            body="SELECT tenant_id, id FROM public.accounts_apikey WHERE digest = wanted",
        ),
    ]

"""The SQL functions of the isolation."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        # A function and not a bare set_config: behind RDS Proxy the latter would pin the connection.
        migrations.RunSQL(
            sql="""
                CREATE FUNCTION app_set_tenant(tenant uuid) RETURNS void LANGUAGE sql
                    AS $$ SELECT set_config('app.tenant_id', tenant::text, true) $$;
                REVOKE ALL ON FUNCTION app_set_tenant(uuid) FROM PUBLIC;
                GRANT EXECUTE ON FUNCTION app_set_tenant(uuid) TO app_tenant
            """,
            reverse_sql="DROP FUNCTION app_set_tenant(uuid)",
        ),
        create_lookup(
            "tenants_of_user(wanted uuid)",
            returns="SETOF uuid",
            body="SELECT tenant_id FROM public.tenants_membership WHERE user_id = wanted",
        ),
    ]

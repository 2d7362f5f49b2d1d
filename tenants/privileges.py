"""What app_tenant may do with each table, granted afresh after every migrate; app_operator may read and write all."""

from django.apps import apps
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.constraints import isolation_of


def converge(connection: BaseDatabaseWrapper) -> None:
    """Make the grants equal to what the models and SHARED_MODELS say. Runs as the owner; repeatable.

    A table that no model declares (Django's own record of migrations) is granted to nobody, and so is every sequence:
    those of identity columns need no grant. A table that isn't there (an app migrated back to zero) is left out.
    """
    roles = "PUBLIC, app_tenant, app_operator"
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {roles}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {roles}",
    ]
    existing = set(connection.introspection.table_names())
    for model in apps.get_models():
        table, isolation = model._meta.db_table, isolation_of(model)
        if table not in existing:
            continue
        privileges = isolation.privileges if isolation else settings.SHARED_MODELS[model._meta.label][0]
        if privileges:
            statements.append(f'GRANT {privileges} ON "{table}" TO app_tenant')
        statements.append(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO app_operator')
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements))

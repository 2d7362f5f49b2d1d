"""What the role app_tenant may do with each table, granted afresh after every migrate; app_operator may read and write all."""

from django.apps import apps
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.constraints import isolation_of


def converge(connection: BaseDatabaseWrapper) -> None:
    """Make the grants equal to what the models and SHARED_MODELS say. Runs as the owner; repeatable.

    A table that no model declares (Django's own record of migrations) is granted to nobody.
    """
    statements = [
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM app_tenant, app_operator",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_tenant, app_operator",
    ]
    for model in apps.get_models():
        table, isolation = model._meta.db_table, isolation_of(model)
        privileges = isolation.privileges if isolation else settings.SHARED_MODELS[model._meta.label][0]
        statements.append(f'GRANT {privileges} ON "{table}" TO app_tenant')
        statements.append(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO app_operator')
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements))

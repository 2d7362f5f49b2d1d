"""Reading whether this process can do its work."""

from django.apps import apps
from django.db import connection

from tenants.isolation import shared


def database_is_ready() -> bool:
    """Return whether the database answers as app_tenant and has every model's table (an unmigrated one hasn't).

    Raises:
        django.db.Error: it can't be reached.
    """
    tables = [model._meta.db_table for model in apps.get_models() if model._meta.managed]
    with shared(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user = 'app_tenant' AND bool_and(to_regclass(name) IS NOT NULL)"
            " FROM unnest(%s::text[]) AS name",
            [tables],
        )
        row: tuple[bool] = cursor.fetchone()
    return row[0]

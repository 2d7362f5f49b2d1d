"""Narrow ways past the isolation: SQL functions in the schema `lookup` that run as app_operator.

For what must be found before a tenant is known: a user's tenants, the tenant of an API key, the person of a session;
they return ids only, but for that person. And for the little that app_tenant may change about a person. Each is
created by a migration.
"""

from django.db.migrations import RunSQL


def create_lookup(signature: str, *, returns: str, body: str) -> RunSQL:
    """Return the migration operation that creates `lookup.<signature>`, executable by app_tenant alone.

    `signature` has the argument types, `body` is SQL on fully named tables, where each statement sees what was
    committed before it; the last one gives what is returned.
    """
    return RunSQL(
        sql=f"""
            SET LOCAL ROLE app_operator;
            CREATE FUNCTION lookup.{signature} RETURNS {returns}
                LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $lookup$ {body} $lookup$;
            REVOKE ALL ON FUNCTION lookup.{signature} FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION lookup.{signature} TO app_tenant;
            RESET ROLE
        """,
        reverse_sql=f"SET LOCAL ROLE app_operator; DROP FUNCTION lookup.{signature}; RESET ROLE",
    )

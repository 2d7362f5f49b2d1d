"""The database itself, as migrated: nothing is open that no attempt of the guard would find."""

import psycopg
import pytest
from psycopg import sql

from tests.tenants.catalogue import KEYS_WITHOUT_TENANT, UNIQUE_ACROSS_TENANTS, faults


def test_catalogue_has_no_fault(admin):
    assert faults(admin) == []


PRIVATE = "REVOKE ALL ON FUNCTION {0}() FROM PUBLIC; GRANT EXECUTE ON FUNCTION {0}() TO app_tenant;"

HOLES = [
    ("CREATE TABLE pets (id uuid, tenant_id uuid)", ["pets: no model declares the table"]),
    ("CREATE SCHEMA side; CREATE TABLE side.pets ()", ["side.pets: only public has tables"]),
    (
        "CREATE VIEW all_assets AS TABLE core_asset",
        ["all_assets: a view without security_invoker shows its owner's rows"],
    ),
    ("CREATE VIEW my_assets WITH (security_invoker = true) AS TABLE core_asset", []),
    (
        "CREATE MATERIALIZED VIEW kept_assets AS TABLE core_asset",
        ["kept_assets: a materialised view shows its owner's rows"],
    ),
    (
        "ALTER TABLE core_asset NO FORCE ROW LEVEL SECURITY",
        ["core_asset: row-level security isn't enabled and forced"],
    ),
    (
        "ALTER TABLE core_asset DISABLE ROW LEVEL SECURITY",
        ["core_asset: row-level security isn't enabled and forced"],
    ),
    (
        "DROP POLICY core_asset_isolation_tenant ON core_asset",
        ["core_asset: the policies aren't the tenant's and the operator's"],
    ),
    (
        "ALTER POLICY core_asset_isolation_tenant ON core_asset TO app_tenant, app_operator",
        ["core_asset: the policies aren't the tenant's and the operator's"],
    ),
    (
        "ALTER POLICY core_asset_isolation_tenant ON core_asset USING (true)",
        ["core_asset: the policies aren't the tenant's and the operator's"],
    ),
    (
        "CREATE POLICY hole ON core_asset FOR SELECT USING (current_setting('app.is_admin', true) = 'yes')",
        ["core_asset: the policies aren't the tenant's and the operator's"],
    ),
    ("CREATE POLICY own ON exchange_rate USING (true)", ["exchange_rate: has policies and isn't a tenant's"]),
    (
        "CREATE POLICY own ON tenants_user FOR SELECT USING (true)",
        ["tenants_user: the policies aren't the members' and the operator's"],
    ),
    (
        "ALTER POLICY tenants_user_isolation_tenant ON tenants_user USING (true)",
        ["tenants_user: the policies aren't the members' and the operator's"],
    ),
    (
        "ALTER TABLE tenants_user NO FORCE ROW LEVEL SECURITY",
        ["tenants_user: row-level security isn't enabled and forced"],
    ),
    (
        "GRANT SELECT ON accounts_signinrequest TO app_tenant",
        ["accounts_signinrequest: app_tenant may ['SELECT'], not []"],
    ),
    (
        "GRANT UPDATE ON tenants_user TO app_tenant",
        ["tenants_user: app_tenant may ['SELECT', 'UPDATE'], not ['SELECT']"],
    ),
    ("GRANT SELECT ON django_migrations TO PUBLIC", ["django_migrations: PUBLIC may ['SELECT'], not []"]),
    (
        "GRANT USAGE ON SEQUENCE django_migrations_id_seq TO app_tenant",
        ["django_migrations_id_seq: app_tenant may ['USAGE'], not []"],
    ),
    ("GRANT UPDATE (email) ON tenants_user TO app_tenant", ["tenants_user.email: has grants of its own"]),
    ("GRANT CREATE ON SCHEMA public TO app_tenant", ["public: app_tenant may create in it"]),
    ("CREATE FUNCTION peek() RETURNS int LANGUAGE sql RETURN 1", ["peek(): may be called by ['PUBLIC']"]),
    (
        "CREATE FUNCTION peek() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1;" + PRIVATE.format("peek"),
        ["peek(): SECURITY DEFINER outside the schema lookup"],
    ),
    (
        "SET LOCAL ROLE app_operator; CREATE FUNCTION lookup.peek() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1;"
        + PRIVATE.format("lookup.peek"),
        ["lookup.peek(): runs as app_operator with []"],
    ),
    (
        "SET LOCAL ROLE app_operator; CREATE FUNCTION lookup.peek() RETURNS int LANGUAGE sql SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp RETURN 1",
        ["lookup.peek(): may be called by ['PUBLIC']"],
    ),
    (
        "ALTER TABLE core_asset ADD CONSTRAINT hole UNIQUE (external_id)",
        ["hole: is unique across tenants"],
    ),
    ("CREATE UNIQUE INDEX hole ON core_asset (lower(name)) WHERE side = 'asset'", ["hole: is unique across tenants"]),
    (
        "ALTER TABLE core_asset ADD CONSTRAINT hole FOREIGN KEY (portfolio_id) REFERENCES core_portfolio",
        ["hole: points from core_asset to core_portfolio without the tenant"],
    ),
    (
        "ALTER TABLE core_asset ADD CONSTRAINT hole FOREIGN KEY (portfolio_id, tenant_id) "
        "REFERENCES core_portfolio (tenant_id, id)",
        ["hole: points from core_asset to core_portfolio without the tenant"],
    ),
    (
        "ALTER TABLE tenants_user ADD home uuid REFERENCES core_portfolio",
        ["tenants_user_home_fkey: points from tenants_user to core_portfolio without the tenant"],
    ),
]


@pytest.mark.parametrize(("hole", "found"), HOLES, ids=[hole[:50] for hole, _ in HOLES])
def test_catalogue_shows_a_hole(hole, found, admin):
    with admin.transaction(force_rollback=True):
        admin.execute("SET LOCAL ROLE app_owner")
        for statement in hole.split(";"):
            if statement:
                admin.execute(statement)
        assert faults(admin) == found


@pytest.mark.parametrize(
    ("hole", "found"),
    [
        ("ALTER ROLE app_tenant BYPASSRLS", "app_tenant: may more than a role of ours"),
        ("GRANT app_operator TO app_tenant", "app_tenant: is a member of app_operator"),
        ("ALTER TABLE core_asset OWNER TO app_operator", "core_asset: belongs to app_operator"),
    ],
)
def test_catalogue_shows_a_role_that_may_too_much(hole, found, admin):
    with admin.transaction(force_rollback=True):
        admin.execute(hole)
        assert found in faults(admin)


def test_exceptions_still_exist(admin: psycopg.Connection):
    for index in UNIQUE_ACROSS_TENANTS:
        assert admin.execute("SELECT to_regclass(%s) IS NOT NULL", [index]).fetchone() == (True,)
    for table, columns in KEYS_WITHOUT_TENANT:
        admin.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier(*columns), sql.Identifier(table)))

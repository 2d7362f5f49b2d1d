"""The constraints as migrations use them, and what `manage.py migrate` grants."""

import io

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.migrations.writer import MigrationWriter

from services.core.models import Asset
from tenants import privileges
from tenants.constraints import SameTenant, TenantIsolation, isolation_of
from tests.tenants.catalogue import faults

ISOLATION = isolation_of(Asset)
SAME_TENANT = next(each for each in Asset._meta.constraints if isinstance(each, SameTenant))


class _Undo(Exception):
    """Ends a transaction whose changes are not to stay."""


@pytest.mark.parametrize(
    ("constraint", "without"),
    [
        (ISOLATION, ["core_asset: the policies aren't the tenant's and the operator's"]),
        (SAME_TENANT, []),
    ],
    ids=["isolation", "same tenant"],
)
def test_constraint_is_removed_and_added(constraint, without, database):
    owner = connections["owner"]
    names = "SELECT conname FROM pg_constraint WHERE conrelid = 'core_asset'::regclass AND conname ~ 'same_tenant'"

    with pytest.raises(_Undo), transaction.atomic(using="owner"):  # noqa: PT012  # nothing here is to stay
        raw = owner.connection
        keys = raw.execute(names).fetchall()
        assert keys == [(SAME_TENANT.name,)]
        with owner.schema_editor() as editor:
            editor.remove_constraint(Asset, constraint)
        assert faults(raw) == without
        assert raw.execute(names).fetchall() == (keys if constraint is ISOLATION else [])
        assert raw.execute("SELECT relrowsecurity FROM pg_class WHERE relname = 'core_asset'").fetchone() == (True,)
        with owner.schema_editor() as editor:
            editor.add_constraint(Asset, constraint)
        assert faults(raw) == []
        assert raw.execute(names).fetchall() == keys
        raise _Undo


@pytest.mark.parametrize(
    "constraint", [TenantIsolation(column="id", privileges="SELECT", name="a"), SameTenant("portfolio", name="b")]
)
def test_constraint_is_written_into_migrations(constraint):
    text, imports = MigrationWriter.serialize(constraint)
    scope: dict[str, object] = {}
    exec("\n".join(imports), scope)  # noqa: S102  # what a migration file does

    again = eval(text, scope)  # noqa: S307  # as above
    assert again == constraint
    assert again.deconstruct() == constraint.deconstruct()
    assert hash(again) == hash(constraint)
    assert constraint != SameTenant("asset", name=constraint.name)


def test_migrating_again_changes_nothing(database, admin):
    snapshot = "SELECT app, name, applied FROM django_migrations ORDER BY id"
    before = admin.execute(snapshot).fetchall()
    out = io.StringIO()

    call_command("migrate", stdout=out, no_color=True)

    assert "No migrations to apply." in out.getvalue()
    assert admin.execute(snapshot).fetchall() == before
    assert faults(admin) == []


@pytest.mark.parametrize(
    "extra",
    [
        "GRANT UPDATE, DELETE, TRUNCATE ON tenants_auditevent TO app_tenant",
        "GRANT UPDATE (details) ON tenants_auditevent TO app_tenant",
        "GRANT SELECT ON django_migrations TO app_tenant, app_operator",
        "GRANT SELECT ON tenants_user TO PUBLIC",
        "GRANT USAGE ON SEQUENCE django_migrations_id_seq TO app_tenant",
        "REVOKE SELECT ON core_asset FROM app_tenant",
    ],
)
def test_privileges_converge(extra, database):
    owner = connections["owner"]

    with pytest.raises(_Undo), transaction.atomic(using="owner"):  # noqa: PT012  # nothing here is to stay
        owner.connection.execute(extra)
        assert len(faults(owner.connection)) >= 1
        privileges.converge(owner)
        assert faults(owner.connection) == []
        raise _Undo


def test_migrate_takes_back_what_was_granted_by_hand(database, admin):
    admin.execute("GRANT DELETE ON tenants_auditevent TO app_tenant")

    call_command("migrate", verbosity=0)

    assert faults(admin) == []


def test_plan_of_migrations_changes_nothing(database, admin):
    admin.execute("GRANT DELETE ON tenants_auditevent TO app_tenant")
    try:
        call_command("migrate", plan=True, stdout=io.StringIO())
        assert faults(admin) == [
            "tenants_auditevent: app_tenant may ['DELETE', 'INSERT', 'SELECT'], not ['INSERT', 'SELECT']"
        ]
    finally:
        admin.execute("REVOKE DELETE ON tenants_auditevent FROM app_tenant")


def test_privileges_leave_out_a_table_that_is_not_there(database):
    owner = connections["owner"]

    with pytest.raises(_Undo), transaction.atomic(using="owner"):  # noqa: PT012  # nothing here is to stay
        owner.connection.execute("DROP TABLE telemetry_invocation")
        privileges.converge(owner)
        raise _Undo

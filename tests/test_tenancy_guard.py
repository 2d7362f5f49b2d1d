"""The guard of the isolation between tenants: it finds every tenant model by itself, and tries to break in.

Each attempt is made as the role app_tenant, through the ORM and in raw SQL. That the guard would find a hole is shown
by holes made for it. What no attempt would find, tests/tenants/test_catalogue.py reads in the database's catalogue.
"""

import copy
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connections
from django.db.models import Model
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tenants.constraints import SameTenant, isolation_of
from tenants.isolation import operator, shared, tenant
from tenants.models import Tenant, TenantForeignKey, TenantModel
from tests.conftest import delete_all_rows
from tests.factories import make_tenant
from tests.tenants.rows import make_guest, row_of

MODELS = [model for model in apps.get_models() if issubclass(model, TenantModel) or model is Tenant]
KEYS = [(model, key) for model in MODELS for key in model._meta.get_fields() if isinstance(key, TenantForeignKey)]
PLATFORM_MODELS = [model for model in MODELS if model is not Tenant and model._meta.get_field("tenant").null]

every_model = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
every_key = pytest.mark.parametrize(
    ("model", "key"), KEYS, ids=[f"{model._meta.label}.{key.name}" for model, key in KEYS]
)


@dataclass(frozen=True)
class Specimen:
    """A row that its tenant could insert: it did, and then the row was taken away. `columns` is the row as JSON."""

    tenant_id: UUID
    instance: Model
    columns: dict[str, Any]


@dataclass(frozen=True)
class Households:
    """Two tenants with a row of each model, the platform's rows, and a specimen of each model in its own tenant."""

    one: UUID
    two: UUID
    rows: dict[tuple[UUID, type[Model]], Model]
    specimens: dict[type[Model], Specimen]


@pytest.fixture(scope="module")
def households(django_db_blocker, admin) -> Iterator[Households]:
    """Make all rows once; no test of this module leaves a change behind."""
    with django_db_blocker.unblock():
        one, two = make_tenant().id, make_tenant().id
        rows = {(each, model): _make(model, each) for each in (one, two) for model in MODELS}
        specimens = {model: _take_away(admin, model) for model in MODELS}
        with operator():
            for model in PLATFORM_MODELS:
                _variant(specimens[model], id=uuid.uuid4(), tenant_id=None).save(force_insert=True)
        yield Households(one, two, rows, specimens)
        for each in connections.all(initialized_only=True):
            each.close()
    delete_all_rows(admin)


def _make(model: type[Model], tenant_id: UUID) -> Model:
    with operator():
        make_guest(Tenant.objects.get(id=tenant_id))
    with tenant(tenant_id):
        return row_of(model._meta.label)


def _take_away(admin: psycopg.Connection, model: type[Model]) -> Specimen:
    tenant_id = make_tenant().id
    row = _make(model, tenant_id)
    is_it = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(field.column), sql.Literal(getattr(row, field.attname)))
        for field in model._meta.pk_fields
    )
    names = {"table": sql.Identifier(model._meta.db_table), "is_it": is_it}
    found = admin.execute(sql.SQL("SELECT to_jsonb(t) FROM {table} t WHERE {is_it}").format(**names)).fetchone()
    if _may(model, "INSERT"):
        admin.execute(sql.SQL("DELETE FROM {table} WHERE {is_it}").format(**names))
    return Specimen(tenant_id, row, found[0])


def _variant(specimen: Specimen, **changes: Any) -> Model:
    """Return an unsaved copy of the specimen with some attributes changed."""
    row = copy.copy(specimen.instance)
    row._state = copy.copy(row._state)
    row._state.adding, row._state.fields_cache = True, {}
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def _may(model: type[Model], privilege: str) -> bool:
    return privilege in isolation_of(model).privileges.split(", ")


@pytest.fixture(scope="module")
def as_tenant() -> Iterator[psycopg.Connection]:
    """Return a connection of the role app_tenant that knows nothing of Django."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as raw:
        yield raw
        raw.rollback()


def break_ins(
    raw: psycopg.Connection, model: type[Model], *, me: UUID | None, victim: UUID, specimen: Specimen
) -> list[str]:
    """Return the names of the attempts against the rows of others that were not refused, as the open role and tenant.

    Each is undone. Only "insufficient privilege" is a refusal: any other error means that the policy let it pass.
    """
    names = {
        "table": sql.Identifier(model._meta.db_table),
        "column": sql.Identifier(isolation_of(model).column),
        "me": sql.Literal(me),
        "victim": sql.Literal(victim),
        "theirs": sql.Literal(Jsonb({**specimen.columns, isolation_of(model).column: str(victim)})),
        "nobodys": sql.Literal(Jsonb({**specimen.columns, isolation_of(model).column: None})),
    }
    insert = "INSERT INTO {{table}} SELECT (jsonb_populate_record(NULL::{{table}}, {{{0}}})).*"
    attempts = {
        "read": "SELECT FROM {table} WHERE {column} IS DISTINCT FROM {me}",
        "lock": "SELECT FROM {table} WHERE {column} IS DISTINCT FROM {me} FOR SHARE",
        "update": "UPDATE {table} SET {column} = {column} WHERE {column} IS DISTINCT FROM {me}",
        "delete": "DELETE FROM {table} WHERE {column} IS DISTINCT FROM {me}",
        "insert as another": insert.format("theirs"),
        "insert as the platform": insert.format("nobodys"),
        "give away": "UPDATE {table} SET {column} = {victim} WHERE {column} = {me}",
        "empty the table": "TRUNCATE {table}",
    }
    return [name for name, attempt in attempts.items() if _passes(raw, sql.SQL(attempt).format(**names))]


def _passes(raw: psycopg.Connection, statement: sql.Composable) -> bool:
    """Return whether the statement reached a row or failed for another reason than a missing right; undo it."""
    try:
        with raw.transaction(force_rollback=True):
            return raw.execute(statement).rowcount != 0
    except errors.InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True


@every_model
def test_raw_sql_does_not_reach_another_tenant(model, households, as_tenant):
    specimen = households.specimens[model]

    with as_tenant.transaction(force_rollback=True):
        as_tenant.execute("SELECT app_set_tenant(%s)", [households.two])
        rows = as_tenant.execute(sql.SQL("TABLE {}").format(sql.Identifier(model._meta.db_table))).rowcount
        assert break_ins(as_tenant, model, me=households.two, victim=households.one, specimen=specimen) == []
    assert rows >= 1


@pytest.mark.parametrize("setting", [None, "", str(uuid.uuid4())], ids=["unset", "empty", "unknown"])
@every_model
def test_raw_sql_without_a_tenant_reaches_nothing(model, setting, households, as_tenant):
    specimen = households.specimens[model]

    with as_tenant.transaction(force_rollback=True):
        if setting is not None:
            as_tenant.execute("SELECT set_config('app.tenant_id', %s, true)", [setting])
        assert break_ins(as_tenant, model, me=None, victim=households.one, specimen=specimen) == []


@every_model
def test_garbage_for_a_tenant_reaches_nothing(model, households, as_tenant):
    for garbage in ("garbage", "' OR true --", f"{households.one},{households.two}", "%"):
        with as_tenant.transaction(force_rollback=True):
            as_tenant.execute("SELECT set_config('app.tenant_id', %s, true)", [garbage])
            with pytest.raises(errors.InvalidTextRepresentation):
                as_tenant.execute(sql.SQL("TABLE {}").format(sql.Identifier(model._meta.db_table)))


@every_model
def test_orm_does_not_reach_another_tenant(model, households):
    victim, mine = households.rows[households.one, model], households.rows[households.two, model]
    column = "id" if model is Tenant else "tenant_id"

    with tenant(households.two):
        rows = model._base_manager
        assert set(rows.values_list(column, flat=True)) == {households.two}
        assert rows.filter(pk=mine.pk).exists()
        assert not rows.filter(pk=victim.pk).exists()
        assert not rows.filter(**{column: households.one}).exists()
        with pytest.raises(model.DoesNotExist):
            copy.copy(victim).refresh_from_db()
    with tenant(households.two):
        assert not _reaches(lambda: rows.filter(pk=victim.pk).update(**{column: households.one}))
    with tenant(households.two):
        assert not _reaches(lambda: rows.filter(pk=victim.pk)._raw_delete("default"))
    with operator():
        assert model._base_manager.filter(pk=victim.pk).exists()


def _reaches(attempt: Any) -> bool:
    """Return whether the attempt changed a row; a refusal for want of the right says no."""
    try:
        return attempt() != 0
    except DatabaseError as error:
        if isinstance(error.__cause__, errors.InsufficientPrivilege):
            # What follows in this transaction would fail: there must be nothing.
            connections["default"].set_rollback(True)
            return False
        raise


@every_model
def test_orm_does_not_write_as_another_tenant(model, households):
    specimen = households.specimens[model]
    column = "id" if model is Tenant else "tenant_id"
    row = _variant(specimen, **{column: households.one})

    with pytest.raises(DatabaseError) as refusal, tenant(specimen.tenant_id):
        row.save(force_insert=True)
    assert isinstance(refusal.value.__cause__, errors.InsufficientPrivilege)


@every_model
def test_operator_sees_every_tenant(model, households):
    column = "id" if model is Tenant else "tenant_id"

    with operator():
        seen = set(model._base_manager.values_list(column, flat=True))
    assert seen >= {households.one, households.two}
    assert (None in seen) == (model in PLATFORM_MODELS)


@every_model
def test_shared_scope_sees_no_row(model, households):
    with shared():
        assert not model._base_manager.exists()


@every_key
def test_foreign_key_does_not_cross_tenants(model, key, households, as_tenant):
    specimen = households.specimens[model]
    foreign = getattr(households.rows[households.one, model], key.attname)
    constraint = _constraint_of(model, key)

    with as_tenant.transaction(force_rollback=True):
        as_tenant.execute("SELECT app_set_tenant(%s)", [specimen.tenant_id])
        assert _violated(as_tenant, model, specimen.columns) is None
        assert _violated(as_tenant, model, {**specimen.columns, key.column: str(foreign)}) == constraint
    with pytest.raises(IntegrityError, match=constraint), tenant(specimen.tenant_id):
        _variant(specimen, **{key.attname: foreign}).save(force_insert=True)


def _constraint_of(model: type[Model], key: TenantForeignKey) -> str:
    return next(c.name for c in model._meta.constraints if isinstance(c, SameTenant) and c.field == key.name)


def _violated(raw: psycopg.Connection, model: type[Model], columns: dict[str, Any]) -> str | None:
    """Insert the row, undo it, and return the name of the foreign key that refused it."""
    names = {"table": sql.Identifier(model._meta.db_table), "row": sql.Literal(Jsonb(columns))}
    statement = sql.SQL("INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, {row})).*").format(**names)
    try:
        with raw.transaction(force_rollback=True):
            raw.execute(statement)
    except errors.ForeignKeyViolation as error:
        return error.diag.constraint_name
    return None


@pytest.mark.parametrize(
    ("hole", "found"),
    [
        (
            "ALTER TABLE core_valuation DISABLE ROW LEVEL SECURITY",
            ["read", "lock", "update", "delete", "insert as another", "insert as the platform", "give away"],
        ),
        ("CREATE POLICY hole ON core_valuation FOR SELECT TO app_tenant USING (true)", ["read"]),
        ("CREATE POLICY hole ON core_valuation FOR SELECT USING (true)", ["read"]),
        (
            "CREATE POLICY hole ON core_valuation FOR INSERT TO app_tenant WITH CHECK (true)",
            ["insert as another", "insert as the platform"],
        ),
        ("GRANT TRUNCATE ON core_valuation TO app_tenant", ["empty the table"]),
    ],
)
def test_guard_finds_a_hole_in_a_table(hole, found, households, admin):
    model = apps.get_model("core.Valuation")
    specimen = households.specimens[model]

    with admin.transaction(force_rollback=True):
        admin.execute(hole)
        admin.execute("SET LOCAL ROLE app_tenant")
        admin.execute("SELECT app_set_tenant(%s)", [households.two])
        assert break_ins(admin, model, me=households.two, victim=households.one, specimen=specimen) == found


def test_guard_finds_a_missing_key(households, admin):
    model = apps.get_model("core.Valuation")
    specimen = households.specimens[model]
    foreign = households.rows[households.one, model].asset_id

    with admin.transaction(force_rollback=True):
        admin.execute("ALTER TABLE core_valuation DROP CONSTRAINT core_valuation_asset_same_tenant")
        admin.execute("SET LOCAL ROLE app_tenant")
        admin.execute("SELECT app_set_tenant(%s)", [specimen.tenant_id])
        assert _violated(admin, model, {**specimen.columns, "asset_id": str(foreign)}) is None


def test_guard_asks_for_the_row_of_a_new_model():
    with pytest.raises(LookupError, match=r"no row for pets.Pet: add how to make a valid one to ROWS in tests/tenants"):
        row_of("pets.Pet")

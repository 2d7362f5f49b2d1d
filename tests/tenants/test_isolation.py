"""Isolation between tenants: what Python refuses and what the database refuses."""

import threading
import uuid

import pytest
from django.db import DatabaseError, connection, connections, transaction

from services.core.models import Asset, Portfolio
from tenants.isolation import ScopeConflict, TenantNotSet, operator, shared, tenant
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role
from tests.factories import make_asset, make_portfolio, make_tenant, owner_id


@pytest.mark.parametrize(
    ("alias", "role"), [("default", "app_tenant"), ("operator", "app_operator"), ("owner", "app_owner")]
)
def test_each_alias_is_its_role(database, alias, role):
    with connections[alias].cursor().connection.cursor() as cursor:
        assert cursor.execute("SELECT current_user::text").fetchone() == (role,)


def test_tenant_sees_only_its_own(database):
    one, two = make_tenant(), make_tenant()
    for each in (one, two):
        with tenant(each.id):
            make_portfolio(name="Mine")

    with tenant(one.id):
        assert [portfolio.tenant_id for portfolio in Portfolio.objects.all()] == [one.id]
        assert [each.id for each in Tenant.objects.all()] == [one.id]
    with operator():
        assert set(Portfolio.objects.values_list("tenant_id", flat=True)) == {one.id, two.id}


def test_query_outside_a_scope_raises(database):
    with pytest.raises(TenantNotSet):
        Portfolio.objects.exists()
    with pytest.raises(TenantNotSet):
        Portfolio(name="x")
    with pytest.raises(TenantNotSet), transaction.atomic():
        Portfolio.objects.exists()
    with pytest.raises(TenantNotSet), tenant(make_tenant().id):
        Portfolio.objects.using("operator").exists()


@pytest.mark.parametrize("nobody", [None, "", "9d0f3c52-6f0e-4a1e-9a53-0e6d4f0c9a11", 1])
def test_tenant_must_be_a_uuid(database, nobody):
    with pytest.raises(TypeError, match="a tenant's id is a UUID"), tenant(nobody):
        pass


def test_scope_does_not_open_inside_a_bare_transaction(database):
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"), tenant(uuid.uuid4()):
        pass


def test_guard_survives_a_wrapper_that_was_there_before_the_connection(database):
    one, refused = make_tenant(), []

    def use():  # in a thread, whose connection is a new one
        try:
            with connection.execute_wrapper(lambda execute, *query: execute(*query)), tenant(one.id):
                Portfolio.objects.exists()
            Portfolio.objects.exists()
        except TenantNotSet as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_work_after_commit_opens_a_scope_of_its_own(database):
    one, two = make_tenant(), make_tenant()
    seen = []

    def look():
        with pytest.raises(TenantNotSet):
            Tenant.objects.exists()
        with tenant(two.id):
            seen.extend(Tenant.objects.values_list("id", flat=True))

    with tenant(one.id):
        transaction.on_commit(look)
    assert seen == [two.id]


def test_shared_sees_no_tenants_rows(database):
    with tenant(make_tenant().id):
        make_portfolio()

    with shared():
        assert not Portfolio.objects.exists()
        assert not User.objects.exists()


def test_people_are_shown_to_their_tenants_alone(database):
    one, two = make_tenant(slug="one"), make_tenant(slug="two")
    guest = owner_id(two)
    with operator():
        assert User.objects.count() == 2

    for each in (one, two):
        with tenant(each.id):
            assert [user.email for user in User.objects.all()] == [f"owner@{each.slug}.example"]
            assert User.objects.filter(id=guest).exists() == (each == two)
    with operator():
        Membership.objects.create(tenant=one, user_id=guest, role=Role.VIEWER)
    with tenant(one.id):
        assert {user.email for user in User.objects.all()} == {"owner@one.example", "owner@two.example"}
        Membership.objects.filter(user_id=guest).delete()
        assert not User.objects.filter(id=guest).exists()


@pytest.mark.parametrize("statement", ["UPDATE tenants_user SET email = 'x'", "DELETE FROM tenants_user"])
def test_people_are_changed_by_no_tenant(database, statement):
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        tenant(make_tenant().id),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_person_is_found_by_id_with_every_column_there_is(database, admin):
    person_id = owner_id(make_tenant(slug="one"))

    def found(wanted):
        with shared(), connection.cursor() as cursor:
            cursor.execute("SELECT row_to_json(p)->>'email', row_to_json(p)::text FROM lookup.person(%s) p", [wanted])
            return cursor.fetchall()

    [(email, _)] = found(person_id)
    admin.execute("ALTER TABLE tenants_user ADD COLUMN shoe_size int DEFAULT 43")
    try:
        [(_, row)] = found(person_id)
    finally:
        admin.execute("ALTER TABLE tenants_user DROP COLUMN shoe_size")

    assert email == "owner@one.example"
    assert '"shoe_size":43' in row
    assert found(uuid.uuid4()) == []


def test_list_of_members_looks_people_up_by_id(database, admin):
    owner = make_tenant()
    admin.execute(
        "INSERT INTO tenants_user (id, email, name, is_operator, created_at) "
        "SELECT gen_random_uuid(), n || '@x.example', '', false, now() FROM generate_series(1, 5000) n"
    )
    admin.execute("ANALYZE tenants_user, tenants_membership")

    with tenant(owner.id):
        plan = Membership.objects.select_related("user").explain()

    assert "Seq Scan on tenants_user" not in plan, plan


def test_tenant_ends_with_its_transaction(database):
    one = make_tenant()
    with tenant(one.id):
        make_portfolio()

    with shared(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_portfolio")
        assert cursor.fetchone() == (0,)


def test_exception_rolls_back(database):
    one = make_tenant()
    with pytest.raises(ZeroDivisionError), tenant(one.id):  # noqa: PT012  # the row must be there before
        make_portfolio()
        1 / 0  # noqa: B018

    with tenant(one.id):
        assert not Portfolio.objects.exists()


def test_scopes_do_not_mix(database):
    one, two = make_tenant(), make_tenant()

    for outer, inner in [
        (tenant(one.id), tenant(two.id)),
        (tenant(one.id), shared()),
        (tenant(one.id), operator()),
        (shared(), tenant(one.id)),
        (operator(), tenant(one.id)),
        (operator(), shared()),
    ]:
        with outer, pytest.raises(ScopeConflict), inner:
            pass


def test_same_tenant_nests_as_a_savepoint(database):
    one = make_tenant()
    with tenant(one.id):
        make_portfolio(name="Kept")
        with pytest.raises(ZeroDivisionError), tenant(one.id):  # noqa: PT012  # as above
            make_portfolio(name="Undone")
            1 / 0  # noqa: B018

    with tenant(one.id):
        assert [portfolio.name for portfolio in Portfolio.objects.all()] == ["Kept"]


def test_row_of_another_tenant_is_refused(database):
    one, two = make_tenant(), make_tenant()

    with pytest.raises(DatabaseError, match="row-level security"), tenant(one.id):
        Portfolio.objects.create(tenant_id=two.id, name="Smuggled", currency="AUD", time_zone="UTC")


def test_foreign_key_across_tenants_is_refused(database):
    one, two = make_tenant(), make_tenant()
    with tenant(two.id):
        foreign = make_portfolio()

    with pytest.raises(DatabaseError, match="core_asset_portfolio_same_tenant"), tenant(one.id):
        make_asset_in(foreign.id)


def make_asset_in(portfolio_id: uuid.UUID) -> Asset:
    return Asset.objects.create(portfolio_id=portfolio_id, name="x", kind="other", side="asset", currency="AUD")


def test_unknown_tenant_sees_nothing(database):
    with tenant(make_tenant().id):
        make_asset(make_portfolio())

    with tenant(uuid.uuid4()):
        assert not Asset.objects.exists()

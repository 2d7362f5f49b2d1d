"""The database's half of the isolation, as Django constraints, so that makemigrations and migrate own it."""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Model

CURRENT_TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"
"""SQL of the tenant that `app_set_tenant` set. In a sub-select the planner evaluates it once, not per row; nullif as a
setting made local to a finished transaction reads as '' and not as NULL."""


class _TableConstraint(models.BaseConstraint):
    """A constraint that is statements of its own after CREATE TABLE. (`model` is Any: its stubs say it may be None.)"""

    def constraint_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Run the statements after all tables of the migration exist; nothing goes into CREATE TABLE itself."""
        if schema_editor is not None:
            schema_editor.deferred_sql.append(self.create_sql(model, schema_editor))
        return ""

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the database: Python can't see another tenant's rows."""

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return what a migration needs to write this constraint."""
        arguments = {
            key: value for key, value in vars(self).items() if key in {"name", "column", "field", "privileges"}
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", (), arguments

    def __eq__(self, other: object) -> bool:
        """Compare by what is written into the migration."""
        return isinstance(other, _TableConstraint) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        """Hash by name, which is unique."""
        return hash(self.name)


class TenantIsolation(_TableConstraint):
    """Row-level security, forced on the owner too: app_tenant is held to its tenant, app_operator is not.

    The policies are split by role, because a way round inside one policy (OR, CASE) costs the index.
    `privileges` is what app_tenant may do at all; it is granted by `tenants.privileges`.
    """

    def __init__(
        self,
        *,
        name: str = "%(app_label)s_%(class)s_isolation",
        column: str = "tenant_id",
        privileges: str = "SELECT, INSERT, UPDATE, DELETE",
    ) -> None:
        super().__init__(name=name)
        self.column = column
        self.privileges = privileges

    def create_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statements that close the table."""
        table, mine = f'"{model._meta.db_table}"', f'"{self.column}" = {CURRENT_TENANT}'
        return f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY "{self.name}_tenant" ON {table} TO app_tenant USING ({mine}) WITH CHECK ({mine});
            CREATE POLICY "{self.name}_operator" ON {table} TO app_operator USING (true) WITH CHECK (true)
        """

    def remove_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statements that drop the policies; the table stays closed (no policy, no rows)."""
        table = f'"{model._meta.db_table}"'
        return f'DROP POLICY "{self.name}_tenant" ON {table}; DROP POLICY "{self.name}_operator" ON {table}'


class MembersOnly(_TableConstraint):
    """Row-level security for the people: app_tenant sees who is a member of its tenant, and nobody without a tenant.

    Who must be found before the tenant is known is found through `tenants.lookups`.
    """

    def create_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statements that close the table."""
        table = f'"{model._meta.db_table}"'
        # The memberships have a policy of their own, which leaves the open tenant's. EXISTS and not IN: the planner
        # looks one person's membership up by its index, or hashes the tenant's for a list.
        mine = f"EXISTS (SELECT FROM tenants_membership m WHERE m.user_id = {table}.id)"
        return f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY "{self.name}_tenant" ON {table} FOR SELECT TO app_tenant USING ({mine});
            CREATE POLICY "{self.name}_operator" ON {table} TO app_operator USING (true) WITH CHECK (true)
        """

    def remove_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statements that drop the policies; the table stays closed (no policy, no rows)."""
        table = f'"{model._meta.db_table}"'
        return f'DROP POLICY "{self.name}_tenant" ON {table}; DROP POLICY "{self.name}_operator" ON {table}'


class SameTenant(_TableConstraint):
    """A foreign key that can't cross tenants: (tenant_id, field) references (tenant_id, id).

    Foreign keys bypass row-level security, so a plain one would accept another tenant's row (and tell that it exists).
    """

    def __init__(self, field: str, *, name: str = "") -> None:
        super().__init__(name=name or f"%(app_label)s_%(class)s_{field}_same_tenant")
        self.field = field

    def create_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statement that adds the key."""
        key = model._meta.get_field(self.field)
        target = key.related_model._meta.db_table
        return (
            f'ALTER TABLE "{model._meta.db_table}" ADD CONSTRAINT "{self.name}" '
            f'FOREIGN KEY (tenant_id, "{key.column}") REFERENCES "{target}" (tenant_id, id)'
        )

    def remove_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statement that drops the key."""
        return f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{self.name}"'


def isolation_of(model: type[Model]) -> TenantIsolation | None:
    """Return the model's TenantIsolation, or None when it lacks one."""
    return next((c for c in model._meta.constraints if isinstance(c, TenantIsolation)), None)


def same_tenant_fields(model: type[Model]) -> Iterator[str]:
    """Yield the names of the foreign keys that a SameTenant constraint holds within the tenant."""
    yield from (c.field for c in model._meta.constraints if isinstance(c, SameTenant))

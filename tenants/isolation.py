"""Keeping tenants apart, twice: here (a query without a tenant raises) and in the database (row-level security).

    with tenant(tenant_id):    one transaction that sees and writes this tenant's rows
    with shared():             one transaction for the models that belong to no tenant; tenants' tables are empty in it
    with operator():           one transaction across all tenants, as another database role

The database's half is `tenants.constraints`. The tenant is set through an SQL function and for one transaction only,
so that no pooled connection can carry it on to the next.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

OPERATOR_ALIAS = "operator"
OWNER_ALIAS = "owner"


class TenantNotSet(RuntimeError):
    """A query ran outside `tenant()`, `shared()` and `operator()`: a bug, not an empty list."""


class ScopeConflict(RuntimeError):
    """A scope was opened inside another that it must not be inside of."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the current transaction may see."""

    alias: str
    tenant_id: UUID | None


_current: ContextVar[_Scope | None] = ContextVar("tenants_scope", default=None)
_actor: ContextVar[UUID | None] = ContextVar("tenants_actor", default=None)


@contextlib.contextmanager
def tenant(tenant_id: UUID) -> Iterator[None]:
    """Run the block as this tenant, in one transaction of the role app_tenant; an exception rolls it back.

    Inside a block of the same tenant this is a savepoint.

    Raises:
        ScopeConflict: another tenant's, `shared()` or `operator()` block is open.
        RuntimeError: a transaction without a scope is open.
        TypeError: it is no UUID; None would otherwise open a block that quietly sees nothing.
    """
    if not isinstance(tenant_id, UUID):
        msg = f"a tenant's id is a UUID, not {tenant_id!r}"  # type: ignore[unreachable]  # where types weren't checked
        raise TypeError(msg)
    outer = _current.get()
    if outer is not None:
        if outer.tenant_id != tenant_id or outer.alias != DEFAULT_DB_ALIAS:
            msg = f"tenant({tenant_id}) inside {outer}"
            raise ScopeConflict(msg)
        with transaction.atomic():
            yield
        return
    with _scope(_Scope(DEFAULT_DB_ALIAS, tenant_id)):
        yield


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Run the block without a tenant, in one transaction of the role app_tenant, for the models in SHARED_MODELS.

    Raises:
        ScopeConflict: another scope is open.
    """
    if (outer := _current.get()) is not None:
        msg = f"shared() inside {outer}"
        raise ScopeConflict(msg)
    with _scope(_Scope(DEFAULT_DB_ALIAS, None)):
        yield


@contextlib.contextmanager
def operator() -> Iterator[None]:
    """Run the block across all tenants, in one transaction of the role app_operator.

    Only for the console and for jobs of the whole platform; each use is reviewed (tests/test_architecture.py lists
    them). Inside another `operator()` block this is a savepoint.

    Raises:
        ScopeConflict: a `tenant()` or `shared()` block is open.
        django.db.utils.ConnectionDoesNotExist: this process has no DATABASE_OPERATOR_URL.
    """
    outer = _current.get()
    if outer is not None:
        if outer.alias != OPERATOR_ALIAS:
            msg = f"operator() inside {outer}"
            raise ScopeConflict(msg)
        with transaction.atomic(using=OPERATOR_ALIAS):
            yield
        return
    with _scope(_Scope(OPERATOR_ALIAS, None)):
        yield


@contextlib.contextmanager
def tenant_beside_operator(tenant_id: UUID) -> Iterator[None]:
    """Run the block as this tenant though `operator()` is open: an operator's write that may do no more than theirs.

    It has a transaction of its own, on the tenant's connection and with the tenant's rights, which is committed at the
    end of the block whatever becomes of the operator's.

    Raises:
        ScopeConflict: no `operator()` block is open.
    """
    outer = _current.get()
    if outer is None or outer.alias != OPERATOR_ALIAS:
        msg = f"tenant_beside_operator({tenant_id}) inside {outer}"
        raise ScopeConflict(msg)
    token = _current.set(None)
    try:
        with tenant(tenant_id):
            yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def tenant_or_operator(tenant_id: UUID | None) -> Iterator[None]:
    """Run the block as the tenant, or across tenants where the row that names it has none (a job of the platform)."""
    with operator() if tenant_id is None else tenant(tenant_id):
        yield


@contextlib.contextmanager
def _scope(scope: _Scope) -> Iterator[None]:
    """Open the outermost transaction of `scope` and tell the database its tenant."""
    connection = connections[scope.alias]
    with transaction.atomic(using=scope.alias, durable=True):
        connection.scope = scope  # type: ignore[attr-defined]  # ours: None outside of a scope
        token = _current.set(scope)
        try:
            if scope.tenant_id is not None:
                # Straight to psycopg, without the work of a cursor of Django's: every request pays for it.
                connection.connection.execute("SELECT app_set_tenant(%s)", (scope.tenant_id,))
            yield
        finally:
            # Before the commit, so that what runs after it (on_commit) may open a scope of its own.
            _current.reset(token)
            connection.scope = None  # type: ignore[attr-defined]


def current_tenant_id() -> UUID | None:
    """Return the tenant of the open block; None in `operator()`, where the row must name its tenant itself.

    Raises:
        TenantNotSet: no scope is open, or it is `shared()`.
    """
    scope = _current.get()
    if scope is None or (scope.tenant_id is None and scope.alias == DEFAULT_DB_ALIAS):
        msg = "there is no tenant here: open tenant(...) first"
        raise TenantNotSet(msg)
    return scope.tenant_id


@contextlib.contextmanager
def acting_as(user_id: UUID | None) -> Iterator[None]:
    """Name the user on whose behalf the block runs, for the audit trail."""
    token = _actor.set(user_id)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor_id() -> UUID | None:
    """Return the user on whose behalf this runs; None for jobs and operators."""
    return _actor.get()


def current_alias() -> str:
    """Return the database alias of the open scope, for raw SQL and on_commit.

    Raises:
        TenantNotSet: no scope is open.
    """
    scope = _current.get()
    if scope is None:
        msg = "no scope is open: tenant(...), shared() or operator()"
        raise TenantNotSet(msg)
    return scope.alias


def guard_connection(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Wrap every query of the web's and the jobs' connections so that one outside its scope raises."""
    if connection.alias != OWNER_ALIAS and _refuse_outside_scope not in connection.execute_wrappers:
        connection.scope = None  # type: ignore[attr-defined]  # ours: set for the length of a scope
        # First, since `connection.execute_wrapper()` ends by popping the last: within one, that would be ours.
        connection.execute_wrappers.insert(0, _refuse_outside_scope)


def _refuse_outside_scope(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:  # the signature is Django's
    connection = context["connection"]
    if connection.scope is None or connection.scope is not _current.get() or not connection.in_atomic_block:
        msg = f"query on {connection.alias!r} outside tenant(), shared() and operator(): {sql[:80]}"
        raise TenantNotSet(msg)
    return execute(sql, params, many, context)


class RoleRouter:
    """Sends queries to the role of the open scope, and migrations to the owner only."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias of the open scope; outside, the default, where the guard refuses."""
        scope = _current.get()
        return scope.alias if scope else None

    db_for_write = db_for_read

    def allow_relation(self, left: Model, right: Model, **hints: Any) -> bool:
        """Allow: the aliases are roles of one database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Return whether `db` is the owner's."""
        return db == OWNER_ALIAS


def opens_own_transaction[F: Callable[..., Any]](view: F) -> F:
    """Mark a view that opens its `tenant()` blocks itself; only such a view may call an outside service, as a bank."""
    view.opens_own_transaction = True  # type: ignore[attr-defined]  # read by fatfire.middleware
    return view

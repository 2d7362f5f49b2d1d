"""The person, their tenant, its API keys and its audit trail over HTTP."""

import datetime as dt
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.accounts import operations, queries
from services.accounts.schemas import ApiKeyCreated, ApiKeyIn, ApiKeyOut, AuditEventOut, MeOut, TenantOut
from tenants.permissions import Role, requires

router = Router(tags=["Account"])


@router.get("/me", response=MeOut)
def get_me(request: HttpRequest) -> MeOut:
    """Show who the API key acts for."""
    principal = queries.principal_of(request)
    user = queries.get_user(user_id=principal.user_id)
    return MeOut(
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=principal.role,
        tenant=TenantOut.of(queries.current_tenant()),
    )


@router.get("/tenant", response=TenantOut)
def get_tenant(request: HttpRequest) -> TenantOut:
    """Show the tenant."""
    return TenantOut.of(queries.current_tenant())


@router.get("/api-keys", response=PageOf[ApiKeyOut])
@requires(Role.ADMIN)
def list_api_keys(request: HttpRequest, page: Query[PageQuery]) -> PageOf[ApiKeyOut]:
    """List the keys of all members, oldest first; those that were revoked or have expired too."""
    found = paginate(queries.list_api_keys(), order=("created_at", "id"), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[ApiKeyOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/api-keys", response={201: ApiKeyCreated})
@requires(Role.ADMIN)
def create_api_key(request: HttpRequest, body: ApiKeyIn) -> Status[ApiKeyCreated]:
    """Make a key that acts for the one who asks, with at most the role they ask with; its secret is shown only here."""
    at = now()
    made = operations.create_own_api_key(
        principal=queries.principal_of(request),
        name=body.name,
        role=body.role,
        at=at,
        expires_at=None if body.days is None else at + dt.timedelta(days=body.days),
    )
    shown = ApiKeyOut.of(queries.get_api_key(api_key_id=made.id))
    return Status(201, ApiKeyCreated(**shown.model_dump(), secret=made.secret))


@router.delete("/api-keys/{api_key_id}", response={204: None})
@requires(Role.ADMIN)
def revoke_api_key(request: HttpRequest, api_key_id: UUID) -> Status[None]:
    """Refuse a key from now on, be it another member's or the one that asks; it stays in the list."""
    operations.revoke_api_key(api_key_id=api_key_id, at=now())
    return Status(204, None)


@router.get("/audit-events", response=PageOf[AuditEventOut])
@requires(Role.ADMIN)
def list_audit_events(request: HttpRequest, page: Query[PageQuery]) -> PageOf[AuditEventOut]:
    """List what was done in the tenant and by whom, newest first."""
    found = paginate(queries.list_audit_events(), order=("-at", "-id"), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[AuditEventOut.of(each) for each in found.items], next_cursor=found.next_cursor)

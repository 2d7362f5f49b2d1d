"""The person and their tenant over HTTP."""

from django.http import HttpRequest
from ninja import Router

from services.accounts import queries
from services.accounts.schemas import MeOut, TenantOut

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

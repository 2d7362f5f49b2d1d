"""Insurance policies over HTTP."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.core import queries as core
from services.insurance import operations, queries
from services.insurance.schemas import PolicyIn, PolicyOut

router = Router(tags=["Insurance"])

_OLDEST_FIRST = ("created_at", "id")


@router.get("/policies", response=PageOf[PolicyOut])
def list_policies(request: HttpRequest, page: Query[PageQuery], portfolio_id: UUID | None = None) -> PageOf[PolicyOut]:
    """List insurance policies, oldest first; those that ended or were cancelled too."""
    rows = queries.list_policies(portfolio_id=portfolio_id)
    found = paginate(rows, order=_OLDEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[PolicyOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/policies", response={201: PolicyOut})
def create_policy(request: HttpRequest, body: PolicyIn) -> Status[PolicyOut]:
    """Record an insurance policy."""
    currency = core.get_portfolio(portfolio_id=body.portfolio_id).currency
    policy = operations.create_policy(facts=body.facts(currency=currency), at=now())
    return Status(201, PolicyOut.of(policy))


@router.get("/policies/{policy_id}", response=PolicyOut)
def get_policy(request: HttpRequest, policy_id: UUID) -> PolicyOut:
    """Show an insurance policy."""
    return PolicyOut.of(queries.get_policy(policy_id=policy_id))


@router.put("/policies/{policy_id}", response=PolicyOut)
def update_policy(request: HttpRequest, policy_id: UUID, body: PolicyIn) -> PolicyOut:
    """Replace all that is said of a policy; it may be repeated."""
    currency = core.get_portfolio(portfolio_id=body.portfolio_id).currency
    policy = operations.update_policy(policy_id=policy_id, facts=body.facts(currency=currency), at=now())
    return PolicyOut.of(policy)


@router.delete("/policies/{policy_id}", response={204: None})
def delete_policy(request: HttpRequest, policy_id: UUID) -> Status[None]:
    """Remove a policy that was recorded by mistake; one that ended is better kept, with its end."""
    operations.delete_policy(policy_id=policy_id, at=now())
    return Status(204, None)

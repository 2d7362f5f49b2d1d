"""Deleting portfolios over HTTP."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from fatfire.kit.clock import now
from services.cleanup import operations
from services.cleanup.schemas import DeletionStarted
from tenants.permissions import Role, requires

router = Router(tags=["Wealth"])


@router.delete("/portfolios/{portfolio_id}", response={202: DeletionStarted})
@requires(Role.ADMIN)
def delete_portfolio(request: HttpRequest, portfolio_id: UUID) -> Status[DeletionStarted]:
    """Delete a portfolio with all that is in it: it is gone from everywhere at once, and a job does the rest.

    Its banks are let go first. Repeatable while it lasts; a deletion that failed or was stopped goes on from there.
    """
    job = operations.request_portfolio_deletion(portfolio_id=portfolio_id, at=now())
    return Status(202, DeletionStarted(job_id=job.id))


@router.post("/portfolios/{portfolio_id}/restore", response={204: None})
@requires(Role.ADMIN)
def restore_portfolio(request: HttpRequest, portfolio_id: UUID) -> Status[None]:
    """Keep a portfolio after all, as long as nothing in it was deleted; links that were removed stay removed."""
    operations.restore_portfolio(portfolio_id=portfolio_id, at=now())
    return Status(204, None)

"""Links to banks over HTTP. The views that call the bank open their own transactions."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.accounts.queries import principal_of
from services.integration import operations, queries
from services.integration.schemas import JobStarted, LinkCompleted, LinkCompletion, LinkIn, LinkOut, LinkStarted
from tenants.isolation import opens_own_transaction

router = Router(tags=["Bank links"])


@router.get("/links", response=PageOf[LinkOut])
def list_links(request: HttpRequest, page: Query[PageQuery]) -> PageOf[LinkOut]:
    """List the links to banks, oldest first; those that were removed too."""
    found = paginate(queries.list_links(), order=("created_at", "id"), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[LinkOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/links", response={201: LinkStarted})
@opens_own_transaction
def start_link(request: HttpRequest, body: LinkIn) -> Status[LinkStarted]:
    """Begin to link a bank into a portfolio."""
    principal = principal_of(request)
    started = operations.start_link(
        tenant_id=principal.tenant_id,
        portfolio_id=body.portfolio_id,
        user_id=principal.user_id,
        return_to=body.return_to,
        at=now(),
    )
    token = started.token
    shown = LinkStarted(
        id=started.link_id, link_token=token.token, hosted_url=token.hosted_url, expires_at=token.expires_at
    )
    return Status(201, shown)


@router.get("/links/{link_id}", response=LinkOut)
def get_link(request: HttpRequest, link_id: UUID) -> LinkOut:
    """Show a link to a bank."""
    return LinkOut.of(queries.get_link(link_id=link_id))


@router.post("/links/{link_id}/complete", response={202: LinkCompleted})
@opens_own_transaction
def complete_link(request: HttpRequest, link_id: UUID, body: LinkCompletion) -> Status[LinkCompleted]:
    """Take the link into use once the person has signed in at the bank; a job imports the accounts."""
    completed = operations.complete_link(
        tenant_id=principal_of(request).tenant_id, link_id=link_id, public_token=body.public_token, at=now()
    )
    return Status(202, LinkCompleted(link=LinkOut.of(completed.link), job_id=completed.job.id))


@router.post("/links/{link_id}/refresh", response={202: JobStarted})
def refresh_link(request: HttpRequest, link_id: UUID) -> Status[JobStarted]:
    """Import what is new at the bank."""
    return Status(202, JobStarted(job_id=operations.request_sync(link_id=link_id, at=now()).id))


@router.delete("/links/{link_id}", response={202: JobStarted})
def remove_link(request: HttpRequest, link_id: UUID) -> Status[JobStarted]:
    """End the link at the bank; its accounts are closed as of today and keep their history."""
    return Status(202, JobStarted(job_id=operations.request_removal(link_id=link_id, at=now()).id))

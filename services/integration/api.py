"""Links to banks over HTTP. The views that call the bank open their own transactions."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.accounts.queries import principal_of
from services.integration import operations, queries
from services.integration.schemas import (
    AccountChange,
    AccountOut,
    InstitutionOut,
    InstitutionQuery,
    InstitutionsFound,
    JobStarted,
    LinkCompleted,
    LinkCompletion,
    LinkIn,
    LinkOut,
    LinkRenewal,
    LinkStarted,
)
from tenants.isolation import opens_own_transaction

router = Router(tags=["Bank links"])


@router.get("/institutions", response=InstitutionsFound)
@opens_own_transaction
def find_institutions(request: HttpRequest, wanted: Query[InstitutionQuery]) -> InstitutionsFound:
    """Find banks that can be linked, by their name."""
    found = operations.find_institutions(query=wanted.query)
    return InstitutionsFound(
        institutions=[InstitutionOut(institution_id=each.institution_id, name=each.name) for each in found]
    )


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
        institution_id=body.institution_id,
        return_to=body.return_to,
        at=now(),
    )
    return Status(201, LinkStarted.of(started))


@router.get("/links/{link_id}", response=LinkOut)
def get_link(request: HttpRequest, link_id: UUID) -> LinkOut:
    """Show a link to a bank."""
    return LinkOut.of(queries.get_link(link_id=link_id))


@router.get("/links/{link_id}/accounts", response=PageOf[AccountOut])
def list_linked_accounts(request: HttpRequest, link_id: UUID, page: Query[PageQuery]) -> PageOf[AccountOut]:
    """List the accounts that came through a link; those too that are left out, each with the reason."""
    rows = queries.list_linked_accounts(link_id=queries.get_link(link_id=link_id).id)
    found = paginate(rows, order=("id",), cursor=page.cursor, limit=page.limit)
    return PageOf(items=[AccountOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.patch("/linked-accounts/{account_id}", response=AccountOut)
def set_account_currency(request: HttpRequest, account_id: UUID, body: AccountChange) -> AccountOut:
    """Reckon an account in another currency than the bank told, or in one where it told none.

    Its figures stay as they are, nothing is converted; everything is read once more from the bank.
    """
    account = operations.set_account_currency(account_id=account_id, currency=body.currency, at=now())
    return AccountOut.of(account)


@router.post("/links/{link_id}/renew", response={201: LinkStarted})
@opens_own_transaction
def renew_link(request: HttpRequest, link_id: UUID, body: LinkRenewal) -> Status[LinkStarted]:
    """Begin a new sign-in at a bank that asks for it; completed as a new link is."""
    principal = principal_of(request)
    started = operations.start_renewal(
        tenant_id=principal.tenant_id,
        link_id=link_id,
        user_id=principal.user_id,
        return_to=body.return_to,
        at=now(),
    )
    return Status(201, LinkStarted.of(started))


@router.post("/links/{link_id}/count-twins", response=LinkOut)
def count_twins(request: HttpRequest, link_id: UUID) -> LinkOut:
    """Count all accounts of the link, those too that look like accounts of another link."""
    return LinkOut.of(operations.count_twins(link_id=link_id, at=now()))


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

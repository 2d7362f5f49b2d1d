"""From the page to the bank and back: linking one, reading it anew, letting it go.

Views that call the bank open their own transactions, and say on the page when it can't be reached.
"""

from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from fatfire.web.access import page
from fatfire.web.accounts import SeeOther, name_of, show_accounts, show_toasts
from fatfire.web.shell import shell_of
from fatfire.web.shell import show as show_page
from services.accounts.queries import principal_of
from services.core import queries as core
from services.core.models import Portfolio
from services.integration import operations
from services.integration import queries as integration
from services.integration.models import LinkState
from services.integration.providers.plaid import BankUnavailable, ConsentRevoked, PublicTokenInvalid
from tenants.isolation import opens_own_transaction, tenant
from tenants.permissions import Role, requires

UNREACHABLE = "The bank can't be reached at the moment. Nothing was changed; try again in a few minutes."
NOT_SET_UP = "No bank provider is set up here, so no bank can be linked."
NOT_FINISHED = "The bank says that you haven't approved yet. Finish there, or start again."
TOO_LATE = "The bank's approval was used already or has expired. Link the bank again."
REVOKED = "The bank wants a new sign-in before it tells anything new. Link it again."


@require_POST
@page
@opens_own_transaction
def start(request: HttpRequest) -> HttpResponse:
    """Begin to link a bank, and send the person to its page.

    Not by a redirect: browsers hold the redirect after a form against the policy's form-action, which would have to
    name every address a bank's page may have. A page that refreshes to there, with a link for whoever doesn't want
    that, sends no form anywhere else, and the policy stays closed.
    """
    principal = principal_of(request)
    with tenant(principal.tenant_id):
        portfolio = shell_of(request, "accounts").portfolio
    if portfolio is None:
        raise Portfolio.DoesNotExist
    link_id = uuid4()
    try:
        started = operations.start_link(
            tenant_id=principal.tenant_id,
            portfolio_id=portfolio.id,
            user_id=principal.user_id,
            link_id=link_id,
            return_to=request.build_absolute_uri(reverse("finish-link", args=[link_id])),
            at=now(),
        )
    except BankUnavailable as error:
        return _refuse(request, error, UNREACHABLE)
    except operations.BankNotConfigured as error:
        return _refuse(request, error, NOT_SET_UP)
    address = started.token.hosted_url
    if address is None or not address.startswith(("https://", "http://")):
        msg = "the bank's provider gave no page to sign in at"
        raise ValueError(msg)
    response = render(request, "web/to_bank.html", {"address": address})
    response["Refresh"] = f"0;url={address}"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
@opens_own_transaction
def finish(request: HttpRequest, link_id: UUID) -> HttpResponse:
    """Take the link into use when the person is back from the bank and says so."""
    principal = principal_of(request)
    with tenant(principal.tenant_id):
        link = integration.get_link(link_id=link_id)
    if request.method != "POST":
        return SeeOther("accounts") if link.state != LinkState.PENDING else _show_finish(request)
    try:
        operations.complete_link(tenant_id=principal.tenant_id, link_id=link_id, at=now())
    except operations.LinkNotFinished as error:
        return _show_finish(request, error, NOT_FINISHED)
    except BankUnavailable as error:
        return _show_finish(request, error, UNREACHABLE)
    except PublicTokenInvalid as error:
        return _refuse(request, error, TOO_LATE)
    return SeeOther("accounts")


@require_POST
@page
def refresh(request: HttpRequest, link_id: UUID) -> HttpResponse:
    """Have what is new at the bank read; htmx gets the toasts alone."""
    is_htmx = bool(request.htmx)  # type: ignore[attr-defined]
    try:
        operations.request_sync(link_id=link_id, at=now())
    except ConsentRevoked as error:
        if is_htmx:  # the page is older than the link's state, which says the same
            return show_toasts(request)
        request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
        return show_accounts(request, problem=REVOKED, status=error.status)
    return show_toasts(request) if is_htmx else SeeOther("accounts")


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def remove(request: HttpRequest, link_id: UUID) -> HttpResponse:
    """Say what removing the bank will do, and do it once that is confirmed."""
    if request.method == "POST":
        operations.request_removal(link_id=link_id, at=now())
        return SeeOther("accounts")
    link = integration.get_link(link_id=link_id)
    if link.state == LinkState.REMOVED:
        raise operations.LinkRemoved
    linked = integration.list_linked_accounts(portfolio_id=link.portfolio_id).filter(link_id=link_id)
    assets = core.list_assets(portfolio_id=link.portfolio_id, with_closed=False)
    names = assets.filter(id__in=linked.values("asset_id")).order_by("created_at", "id").values_list("name", flat=True)
    shell = shell_of(request, "accounts")
    return show_page(request, "web/remove_bank.html", shell, link=link, name=name_of(link), accounts=list(names))


def _refuse(request: HttpRequest, error: DomainError, sentence: str) -> HttpResponse:
    """Return the page of the accounts with the sentence on it."""
    request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    with tenant(principal_of(request).tenant_id):
        return show_accounts(request, problem=sentence, status=error.status)


def _show_finish(request: HttpRequest, error: DomainError | None = None, sentence: str = "") -> HttpResponse:
    if error:
        request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    with tenant(principal_of(request).tenant_id):
        response = show_page(request, "web/finish_link.html", shell_of(request, "accounts"), problem=sentence)
    response.status_code = error.status if error else 200
    return response

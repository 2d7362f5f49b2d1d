"""From the page to the bank and back: choosing and linking one, renewing it, reading it anew, letting it go.

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
from fatfire.web.accounts import SeeOther, show_accounts, show_toasts
from fatfire.web.bank_jobs import name_of
from fatfire.web.shell import shell_of
from fatfire.web.shell import show as show_page
from services.accounts.queries import principal_of
from services.core import queries as core
from services.core.models import Portfolio
from services.integration import operations
from services.integration import queries as integration
from services.integration.models import Link, LinkState
from services.integration.providers.plaid import (
    BankUnavailable,
    ConsentRevoked,
    Institution,
    InstitutionUnknown,
    ItemGone,
    PublicTokenInvalid,
)
from tenants.isolation import opens_own_transaction, tenant
from tenants.permissions import Role, requires

UNREACHABLE = "The bank can't be reached at the moment. Nothing was changed; try again in a few minutes."
NOT_SET_UP = "No bank provider is set up here, so no bank can be linked."
NOT_FINISHED = "The bank says that you haven't approved yet. Finish there, or start again."
TOO_LATE = "The bank's approval was used already or has expired. Link the bank again."
REVOKED = "The bank wants a new sign-in before it tells anything new. Sign in again there."
GONE = "The bank no longer knows this link. Link the bank again, then remove this link; its history stays."
UNKNOWN = "This bank can't be linked here any more. Choose another one."


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
@opens_own_transaction
def choose(request: HttpRequest) -> HttpResponse:
    """Offer banks by their names; begin to link the one that was chosen. htmx gets the banks alone."""
    principal = principal_of(request)
    with tenant(principal.tenant_id):
        portfolio = shell_of(request, "accounts").portfolio
    if portfolio is None:
        raise Portfolio.DoesNotExist
    if request.method != "POST":
        return _show_choice(request)
    link_id = uuid4()
    try:
        started = operations.start_link(
            tenant_id=principal.tenant_id,
            portfolio_id=portfolio.id,
            user_id=principal.user_id,
            link_id=link_id,
            institution_id=request.POST.get("institution_id") or None,
            return_to=_way_back(request, link_id),
            at=now(),
        )
    except InstitutionUnknown as error:
        return _show_choice(request, error, UNKNOWN)
    except BankUnavailable as error:
        return _show_choice(request, error, UNREACHABLE)
    except operations.BankNotConfigured as error:
        return _show_choice(request, error, NOT_SET_UP)
    return _to_bank(request, started)


@require_POST
@page
@opens_own_transaction
def renew(request: HttpRequest, link_id: UUID) -> HttpResponse:
    """Send the person to the bank for a new sign-in; the link, its accounts and their history stay the same."""
    principal = principal_of(request)
    try:
        started = operations.start_renewal(
            tenant_id=principal.tenant_id,
            link_id=link_id,
            user_id=principal.user_id,
            return_to=_way_back(request, link_id),
            at=now(),
        )
    except ItemGone as error:
        return _refuse(request, error, GONE)
    except BankUnavailable as error:
        return _refuse(request, error, UNREACHABLE)
    return _to_bank(request, started)


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
        waits = link.state in {LinkState.PENDING, LinkState.REVOKED}
        return _show_finish(request, link) if waits else SeeOther("accounts")
    try:
        operations.complete_link(tenant_id=principal.tenant_id, link_id=link_id, at=now())
    except operations.LinkNotFinished as error:
        return _show_finish(request, link, error, NOT_FINISHED)
    except BankUnavailable as error:
        return _show_finish(request, link, error, UNREACHABLE)
    except PublicTokenInvalid as error:
        return _refuse(request, error, TOO_LATE)
    except ItemGone as error:
        return _refuse(request, error, GONE)
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


@require_POST
@page
def count_twins(request: HttpRequest, link_id: UUID) -> HttpResponse:
    """Count the link's accounts although another link brings accounts that look the same."""
    operations.count_twins(link_id=link_id, at=now())
    return SeeOther("accounts")


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


def _show_finish(
    request: HttpRequest, link: Link, error: DomainError | None = None, sentence: str = ""
) -> HttpResponse:
    if error:
        request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    with tenant(principal_of(request).tenant_id):
        return show_page(
            request,
            "web/finish_link.html",
            shell_of(request, "accounts"),
            status=error.status if error else 200,
            problem=sentence,
            is_renewal=link.state == LinkState.REVOKED,
        )


def _show_choice(request: HttpRequest, error: DomainError | None = None, sentence: str = "") -> HttpResponse:
    """Return the banks that the query finds, or what is wrong in words.

    htmx shows an answer only when its status is one of success, so its part has 200 whatever it says.
    """
    query = request.GET.get("q", "").strip()
    banks: list[Institution] = []
    if error is None:
        try:
            banks = operations.find_institutions(query=query)
        except BankUnavailable as found:
            error, sentence = found, UNREACHABLE
        except operations.BankNotConfigured as found:
            error, sentence = found, NOT_SET_UP
    if error:
        request.error_code = error.code  # type: ignore[attr-defined]  # for the invocation
    is_part = bool(request.htmx) and request.method == "GET"  # type: ignore[attr-defined]
    context = {"banks": banks, "query": query, "problem": sentence, "is_part": is_part}
    with tenant(principal_of(request).tenant_id):
        if is_part:
            response = render(request, "web/choose_bank.html#banks", context)
        else:
            shell = shell_of(request, "accounts")
            status = error.status if error else 200
            response = show_page(request, "web/choose_bank.html", shell, status=status, **context)
    response["Vary"] = "HX-Request"
    return response


def _way_back(request: HttpRequest, link_id: UUID) -> str:
    return request.build_absolute_uri(reverse("finish-link", args=[link_id]))


def _to_bank(request: HttpRequest, started: operations.StartedLink) -> HttpResponse:
    """Send the person to the bank's page.

    Not by a redirect: browsers hold the redirect after a form against the policy's form-action, which would have to
    name every address a bank's page may have. A page that refreshes to there, with a link for whoever doesn't want
    that, sends no form anywhere else, and the policy stays closed.
    """
    address = started.token.hosted_url
    if address is None or not address.startswith(("https://", "http://")):
        msg = "the bank's provider gave no page to sign in at"
        raise ValueError(msg)
    response = render(request, "web/to_bank.html", {"address": address})
    response["Refresh"] = f"0;url={address}"
    return response

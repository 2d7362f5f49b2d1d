"""Linking banks, renewing what a bank revoked, and letting them go. No network inside a transaction."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.conf import settings

from fatfire.kit.batches import delete_some
from fatfire.kit.clock import local_date
from services.core import operations as core
from services.core import queries as core_queries
from services.integration import queries
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link, LinkState
from services.integration.operations.accounts import give_up_accounts
from services.integration.operations.provider import (
    PROVIDER,
    LinkNotFinished,
    LinkRemoved,
    open_bank,
    open_token,
    require_in_use,
    sealed_token,
)
from services.integration.providers.plaid import LinkToken, Plaid, PublicTokenInvalid
from services.jobs import operations as jobs
from services.jobs.operations import Progress
from tenants import audit
from tenants.encryption import open_cipher
from tenants.isolation import operator, tenant

if TYPE_CHECKING:
    from services.jobs.models import Job

UNFINISHED_KEPT = dt.timedelta(days=1)
_FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StartedLink:
    """A link that waits for the person to sign in at the bank, with the token (and page) to do it with."""

    link_id: UUID
    token: LinkToken


@dataclass(frozen=True, slots=True)
class CompletedLink:
    """A link in use, and the job that does (or did) its first import."""

    link: Link
    job: "Job"


def start_link(
    *,
    tenant_id: UUID,
    portfolio_id: UUID,
    user_id: UUID,
    at: dt.datetime,
    return_to: str | None = None,
    link_id: UUID | None = None,
    institution_id: str | None = None,
) -> StartedLink:
    """Begin to link a bank into a portfolio. `return_to` is where the bank's page sends the person afterwards.

    Whoever names the link in `return_to` chooses its `link_id`, a new one: the bank is told before the link is kept.
    The bank with `institution_id` is the first that the page offers, where the provider can do that, and the link
    bears its name until the first import learns which bank the person really took.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is, since a moment ago.
        InstitutionUnknown: there is no such bank here.
        BankUnavailable: try again later.
    """
    with tenant(tenant_id):
        core_queries.get_portfolio(portfolio_id=portfolio_id)
    bank, cipher = open_bank(), open_cipher(tenant_id)
    chosen = None if institution_id is None else bank.institution(institution_id)
    token = bank.create_link_token(
        str(user_id),
        "en",
        settings.PLAID_COUNTRY_CODES,
        completion_redirect_uri=return_to,
        routing_number=chosen.routing_number if chosen else None,
    )
    with tenant(tenant_id):
        core.hold_portfolio(portfolio_id=portfolio_id)
        link = Link(id=link_id or uuid4(), portfolio_id=portfolio_id, provider=PROVIDER, created_at=at)
        link.institution = chosen.name[:120] if chosen else ""
        link.link_token = sealed_token(cipher, link, token.token, column="link_token")
        link.save(force_insert=True)
        audit.record(action="start", subject="link", subject_id=link.id, at=at)
    return StartedLink(link.id, token)


def complete_link(*, tenant_id: UUID, link_id: UUID, at: dt.datetime, public_token: str | None = None) -> CompletedLink:
    """Take the link into use once the person has signed in at the bank, and queue an import.

    `public_token` comes from the bank's widget; without one the provider is asked how the visit to its hosted page
    went. A revoked link is in use again once the bank lets us in; its accounts, their ids and their history are the
    same as before. A second call finds the link in use and only imports once more.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkNotFinished: the person has not finished at the bank.
        ItemGone: the bank no longer knows a revoked link; only a new link helps.
        LinkRemoved: the link was removed.
        PublicTokenInvalid: the token was used or has expired; start again.
        BankUnavailable: try again later.
    """
    bank, cipher = open_bank(), open_cipher(tenant_id)
    with tenant(tenant_id):
        link = queries.get_link(link_id=link_id)
        if link.state not in {LinkState.PENDING, LinkState.REVOKED}:
            return _completed(link, at)
        is_renewal = link.state == LinkState.REVOKED
        token = open_token(cipher, link, column="access_token" if is_renewal else "link_token")
    if is_renewal:
        return _complete_renewal(bank, token, tenant_id=tenant_id, link_id=link_id, at=at)
    if public_token is None:
        public_token = next(iter(bank.get_link_result(token)), None)
    if public_token is None:
        raise LinkNotFinished
    try:
        item = bank.exchange_public_token(public_token)
    except PublicTokenInvalid:
        with tenant(tenant_id):  # the same call, sent twice, may have used it a moment ago
            link = Link.objects.get(id=link_id)
            if link.state == LinkState.PENDING:
                raise
            return _completed(link, at)
    # The bank tells the token once, so it is kept before anything else is asked; the import learns the bank's name.
    with tenant(tenant_id):
        changed = Link.objects.filter(id=link_id, state=LinkState.PENDING).update(
            state=LinkState.ACTIVE,
            item_id=item.item_id,
            access_token=sealed_token(cipher, link, item.access_token, column="access_token"),
            link_token=None,
        )
        if changed:
            audit.record(action="complete", subject="link", subject_id=link_id, at=at)
            return _completed(Link.objects.get(id=link_id), at)
    bank.remove_item(item.access_token)  # removed, or completed with another token, in the meantime
    with tenant(tenant_id):
        return _completed(Link.objects.get(id=link_id), at)


def start_renewal(
    *, tenant_id: UUID, link_id: UUID, user_id: UUID, at: dt.datetime, return_to: str | None = None
) -> StartedLink:
    """Begin a new sign-in for a link that is in use, usually because the bank revoked it; `complete_link` ends it.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkNotFinished, LinkRemoved: the link is not in use.
        ItemGone: the bank no longer knows the link; only a new link helps.
        BankUnavailable: try again later.
    """
    cipher = open_cipher(tenant_id)
    with tenant(tenant_id):
        link = queries.get_link(link_id=link_id)
        require_in_use(link)
        access_token = open_token(cipher, link, column="access_token")
    token = open_bank().create_link_token(
        str(user_id),
        "en",
        settings.PLAID_COUNTRY_CODES,
        completion_redirect_uri=return_to,
        access_token=access_token,
    )
    with tenant(tenant_id):
        audit.record(action="start renewal", subject="link", subject_id=link_id, at=at)
    return StartedLink(link_id, token)


def _complete_renewal(
    bank: Plaid, access_token: str, *, tenant_id: UUID, link_id: UUID, at: dt.datetime
) -> CompletedLink:
    """Take the revoked link into use again when the bank lets us in.

    The bank itself is asked, and not how the visit to its page went: that page gives no token for a link that exists.
    """
    if not bank.is_signed_in(access_token):
        raise LinkNotFinished
    with tenant(tenant_id):
        if Link.objects.filter(id=link_id, state=LinkState.REVOKED).update(state=LinkState.ACTIVE):
            audit.record(action="renew", subject="link", subject_id=link_id, at=at)
        return _completed(Link.objects.get(id=link_id), at)


def request_removal(*, link_id: UUID, at: dt.datetime) -> "Job":
    """Queue the end of the link; return its job.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkRemoved: it was removed already.
    """
    link = queries.get_link(link_id=link_id)
    if link.state == LinkState.REMOVED:
        raise LinkRemoved
    audit.record(action="remove", subject="link", subject_id=link_id, at=at)
    return jobs.enqueue(kind=REMOVE_LINK, subject_id=link_id, at=at)


def run_removal(*, tenant_id: UUID, link_id: UUID, progress: Progress, at: dt.datetime) -> None:
    """End the consent at the bank, forget its token, and close the accounts as of today; their history stays.

    Repeatable: of a link that is removed, or gone with its portfolio, nothing is left to do.

    Raises:
        BankUnavailable: try again later.
    """
    ended: bytes | None = None
    cipher = open_cipher(tenant_id)
    while True:
        with tenant(tenant_id):
            progress.report(0, 1)
            links = Link.objects.select_for_update(no_key=True, of=("self",)).select_related("portfolio")
            link = links.filter(id=link_id).first()
            if link is None or link.state == LinkState.REMOVED:
                return
            sealed = None if link.access_token is None else bytes(link.access_token)
            if sealed == ended:  # else it came into use while this ran
                _forget(link, at=at)
                return
            token = open_token(cipher, link, column="access_token")
        open_bank().remove_item(token)
        ended = sealed


def _forget(link: Link, *, at: dt.datetime) -> None:
    """Note that the link has ended, and close its accounts."""
    Link.objects.filter(id=link.id).update(
        state=LinkState.REMOVED, access_token=None, link_token=None, item_id=None, cursor=""
    )
    give_up_accounts(link, on=local_date(at, link.portfolio.time_zone), at=at)


def forget_unfinished_links(*, at: dt.datetime) -> int:
    """Delete the links, of all tenants, that were begun more than a day ago and never finished; return how many.

    The bank's page and what it gives are long expired then. In batches, each a transaction of its own; repeatable.
    """
    forgotten = 0
    while True:
        with operator():
            # Locked, so that one which comes into use at this moment is seen for what it is; that one isn't waited for.
            waiting = Link.objects.select_for_update(skip_locked=True).filter(state=LinkState.PENDING)
            overdue = waiting.filter(created_at__lt=at - UNFINISHED_KEPT).order_by("created_at", "id")
            ids = list(overdue.values_list("id", flat=True)[:_FORGOTTEN_AT_ONCE])
            Link.objects.filter(id__in=ids).delete()
        forgotten += len(ids)
        if len(ids) < _FORGOTTEN_AT_ONCE:
            return forgotten


def delete_links(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the portfolio's links, which were removed at the bank; return how many."""
    return delete_some(Link.objects.filter(portfolio_id=portfolio_id, state=LinkState.REMOVED), limit=limit)


def _completed(link: Link, at: dt.datetime) -> CompletedLink:
    """Return the link in use with its import, queued unless it was done."""
    require_in_use(link)
    return CompletedLink(link, jobs.enqueue(kind=SYNC_LINK, subject_id=link.id, at=at))

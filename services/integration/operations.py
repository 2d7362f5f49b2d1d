"""Linking banks, importing from them, and letting them go. The network is never waited for inside a transaction."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from fatfire.kit.clock import local_date
from fatfire.kit.errors import DomainError, TransientError
from fatfire.kit.money import MINOR_DIGITS, round_to_minor
from services.core import operations as core
from services.core import queries as core_queries
from services.core.operations import ImportedTransaction
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.providers.plaid import (
    BankAccount,
    BankTransaction,
    ConsentRevoked,
    ItemGone,
    LinkToken,
    Plaid,
    PublicTokenInvalid,
    SyncPage,
)
from services.jobs import operations as jobs
from services.jobs.operations import Progress
from tenants import audit
from tenants.encryption import decrypt, encrypt
from tenants.isolation import tenant

PROVIDER = "plaid"
_DEBT_KINDS = {"credit_card", "loan"}
type Job = jobs.Job
type Asset = core.Asset


class BankNotConfigured(DomainError):
    """No bank provider is set up here."""

    status, code = 503, "bank_not_configured"


class LinkNotFinished(DomainError):
    """The bank has not been signed in to yet."""

    code = "link_not_finished"


class LinkRemoved(DomainError):
    """The link was removed."""

    code = "link_removed"


class AccountUnknown(TransientError):
    """The bank told of a transaction on an account that it had not told of; the next attempt will know it."""


@dataclass(frozen=True, slots=True)
class StartedLink:
    """A link that waits for the person to sign in at the bank, with the token (and page) to do it with."""

    link_id: UUID
    token: LinkToken


@dataclass(frozen=True, slots=True)
class CompletedLink:
    """A link in use, and the job that does (or did) its first import."""

    link: Link
    job: Job


def start_link(
    *, tenant_id: UUID, portfolio_id: UUID, user_id: UUID, at: dt.datetime, return_to: str | None = None
) -> StartedLink:
    """Begin to link a bank into a portfolio. `return_to` is where the bank's page sends the person afterwards.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        BankUnavailable: try again later.
    """
    with tenant(tenant_id):
        core_queries.get_portfolio(portfolio_id=portfolio_id)
    token = _bank().create_link_token(
        str(user_id), "en", settings.PLAID_COUNTRY_CODES, completion_redirect_uri=return_to
    )
    with tenant(tenant_id):
        link = Link(portfolio_id=portfolio_id, provider=PROVIDER, created_at=at)
        link.link_token = encrypt(token.token, model=Link, row_id=link.id, column="link_token")
        link.save(force_insert=True)
        audit.record(action="start", subject="link", subject_id=link.id, at=at)
    return StartedLink(link.id, token)


def complete_link(*, tenant_id: UUID, link_id: UUID, at: dt.datetime, public_token: str | None = None) -> CompletedLink:
    """Take the link into use once the person has signed in at the bank, and queue the first import.

    `public_token` comes from the bank's widget; without one the provider is asked how the visit to its hosted page went.
    A second call finds the link in use and only imports once more.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkNotFinished: the person has not finished at the bank.
        LinkRemoved: the link was removed.
        PublicTokenInvalid: the token was used or has expired; start again.
        BankUnavailable: try again later.
    """
    bank = _bank()
    with tenant(tenant_id):
        link = Link.objects.get(id=link_id)
        if link.state != LinkState.PENDING:
            return _completed(link, at)
        link_token = decrypt(link.link_token, model=Link, row_id=link.id, column="link_token")
    if public_token is None:
        public_token = next(iter(bank.get_link_result(link_token)), None)
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
    institution = bank.institution_of(item.access_token)
    with tenant(tenant_id):
        changed = Link.objects.filter(id=link_id, state=LinkState.PENDING).update(
            state=LinkState.ACTIVE,
            item_id=item.item_id,
            access_token=encrypt(item.access_token, model=Link, row_id=link_id, column="access_token"),
            link_token=None,
            institution_id=institution.institution_id if institution else "",
            institution=institution.name if institution else "",
        )
        if changed:
            audit.record(action="complete", subject="link", subject_id=link_id, at=at)
            return _completed(Link.objects.get(id=link_id), at)
    bank.remove_item(item.access_token)  # removed, or completed with another token, in the meantime
    raise LinkRemoved


def request_sync(*, link_id: UUID, at: dt.datetime) -> Job:
    """Queue an import of what is new at the bank; return its job (the open one, if there is one).

    Raises:
        Link.DoesNotExist: not this tenant's.
        ConsentRevoked: the bank wants a new sign-in.
        LinkNotFinished, LinkRemoved: the link is not in use.
    """
    link = Link.objects.get(id=link_id)
    if link.state == LinkState.REVOKED:
        raise ConsentRevoked
    _require_in_use(link)
    return jobs.enqueue(kind=SYNC_LINK, subject_id=link_id, at=at, inputs={"run": {"refresh": True}})


def request_removal(*, link_id: UUID, at: dt.datetime) -> Job:
    """Queue the end of the link; return its job.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkRemoved: it was removed already.
    """
    link = Link.objects.get(id=link_id)
    if link.state == LinkState.REMOVED:
        raise LinkRemoved
    audit.record(action="remove", subject="link", subject_id=link_id, at=at)
    return jobs.enqueue(kind=REMOVE_LINK, subject_id=link_id, at=at)


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import brought. `skipped` accounts have no currency that we know."""

    accounts: int
    changes: int
    skipped: int


def run_sync(*, tenant_id: UUID, link_id: UUID, progress: Progress, at: dt.datetime, refresh: bool = False) -> Imported:
    """Import accounts, balances and transactions from where the last import ended. Repeatable.

    Page by page: fetched with no transaction open, then written in one of its own. The cursor is kept only at the end, so an
    import that dies half way is read again, and rows that are there already stay as they are. `refresh` has the provider ask
    the bank first.

    Raises:
        ConsentRevoked: the bank wants a new sign-in; the link says so from now on.
        LinkRemoved: there is nothing to import from any more.
        BankUnavailable, SyncRestart, AccountUnknown: try again later.
    """
    bank = _bank()
    with tenant(tenant_id):
        link = Link.objects.select_related("portfolio").get(id=link_id)
        _require_in_use(link)
        token = decrypt(link.access_token, model=Link, row_id=link_id, column="access_token")
    today = local_date(at, link.portfolio.time_zone)
    try:
        if refresh:
            bank.refresh(token)
        accounts = bank.accounts(token)
        usable = [account for account in accounts if account.currency in MINOR_DIGITS]
        with tenant(tenant_id):
            _lock_in_use(link_id)
            assets = _import_accounts(link, usable, today=today, at=at)
            progress.report(0, note="Accounts imported")
        skipped = {account.external_id for account in accounts} - set(assets)
        changes = 0
        cursor: str | None = link.cursor or None
        while True:
            page = bank.sync_page(token, cursor)
            with tenant(tenant_id):
                _lock_in_use(link_id)
                _import_page(page, assets=assets, skipped=skipped, at=at)
                changes += len(page.added) + len(page.modified) + len(page.removed)
                progress.report(changes, note=f"{changes} transactions imported")
                if not page.has_more:
                    Link.objects.filter(id=link_id).update(cursor=page.next_cursor, synced_at=at)
                    return Imported(accounts=len(assets), changes=changes, skipped=len(skipped))
            cursor = page.next_cursor
    except (ConsentRevoked, ItemGone):
        with tenant(tenant_id):
            Link.objects.filter(id=link_id, state=LinkState.ACTIVE).update(state=LinkState.REVOKED)
        raise


def run_removal(*, tenant_id: UUID, link_id: UUID, progress: Progress, at: dt.datetime) -> None:
    """End the consent at the bank, forget its token, and close the accounts as of today; their history stays. Repeatable.

    Raises:
        BankUnavailable: try again later.
    """
    with tenant(tenant_id):
        link = Link.objects.select_related("portfolio").get(id=link_id)
        sealed = link.access_token
        token = decrypt(sealed, model=Link, row_id=link_id, column="access_token") if sealed else None
    if token:
        _bank().remove_item(token)
    with tenant(tenant_id):
        progress.report(1, 1)
        Link.objects.filter(id=link_id).update(
            state=LinkState.REMOVED, access_token=None, link_token=None, item_id=None, cursor=""
        )
        asset_ids = LinkedAccount.objects.filter(link_id=link_id).values_list("asset_id", flat=True)
        core.close_assets(asset_ids=list(asset_ids), on=local_date(at, link.portfolio.time_zone), at=at)


def _bank() -> Plaid:
    """Return the provider's adapter.

    Raises:
        BankNotConfigured: PLAID_URL is not set.
    """
    if not settings.PLAID_URL:
        raise BankNotConfigured
    return Plaid(
        settings.PLAID_URL,
        settings.PLAID_CLIENT_ID,
        settings.PLAID_SECRET.get_secret_value(),
        country_codes=settings.PLAID_COUNTRY_CODES,
    )


def _completed(link: Link, at: dt.datetime) -> CompletedLink:
    """Return the link in use with its import, queued unless it was done."""
    _require_in_use(link)
    return CompletedLink(link, jobs.enqueue(kind=SYNC_LINK, subject_id=link.id, at=at))


def _require_in_use(link: Link) -> None:
    if link.state == LinkState.PENDING:
        raise LinkNotFinished
    if link.state == LinkState.REMOVED:
        raise LinkRemoved


def _lock_in_use(link_id: UUID) -> None:
    """Hold the link as it is until the page is written, so that a removal comes before or after it, not in between."""
    _require_in_use(Link.objects.select_for_update(no_key=True).get(id=link_id))


def _import_accounts(
    link: Link, accounts: Iterable[BankAccount], *, today: dt.date, at: dt.datetime
) -> dict[str, Asset]:
    """Mirror the accounts as assets with today's balances; return the assets by the bank's account ids."""
    assets, balances = {}, {}
    for account in accounts:
        asset = core.import_asset(
            portfolio_id=link.portfolio_id,
            source=PROVIDER,
            external_id=account.external_id,
            name=account.name,
            kind=core.AssetKind(account.kind),
            side=core.Side.DEBT if account.kind in _DEBT_KINDS else core.Side.ASSET,
            currency=account.currency or "",
            institution=link.institution,
            at=at,
        )
        LinkedAccount.objects.get_or_create(
            link=link, external_id=account.external_id, defaults={"asset_id": asset.id, "mask": account.mask or ""}
        )
        assets[account.external_id] = asset
        if account.balance is not None:
            balances[asset.id] = round_to_minor(account.balance, asset.currency)
    core.import_balances(balances=balances, source=PROVIDER, on=today, at=at)
    return assets


def _import_page(page: SyncPage, *, assets: dict[str, Asset], skipped: set[str], at: dt.datetime) -> None:
    upserts = [each for each in (*page.added, *page.modified) if each.account_external_id not in skipped]
    if unknown := {each.account_external_id for each in upserts} - set(assets):
        raise AccountUnknown(f"{len(unknown)} unknown accounts")
    core.import_transactions(
        source=PROVIDER,
        upserts=[_imported(each, assets[each.account_external_id]) for each in upserts],
        removed=page.removed,
        at=at,
    )


def _imported(each: BankTransaction, asset: Asset) -> ImportedTransaction:
    return ImportedTransaction(
        external_id=each.external_id,
        asset_id=asset.id,
        booked_on=each.booked_on,
        amount=round_to_minor(each.amount, asset.currency),
        description=each.description[:300],
        merchant=(each.merchant or "")[:120],
        category=each.category or "",
        pending=each.pending,
        replaces=each.replaces_pending_id,
    )

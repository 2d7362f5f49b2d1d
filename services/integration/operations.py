"""Linking banks, importing from them, and letting them go. The network is never waited for inside a transaction."""

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.conf import settings

from fatfire.kit.batches import delete_some
from fatfire.kit.clock import local_date
from fatfire.kit.errors import DomainError, TransientError
from fatfire.kit.money import MINOR_DIGITS, round_to_minor
from services.core import operations as core
from services.core import queries as core_queries
from services.core.operations import ImportedTransaction
from services.integration import queries
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.providers.plaid import (
    BankAccount,
    BankRefused,
    BankTransaction,
    ConsentRevoked,
    Institution,
    ItemGone,
    LinkToken,
    Plaid,
    PublicTokenInvalid,
)
from services.jobs import operations as jobs
from services.jobs import queries as job_queries
from services.jobs.operations import Progress
from tenants import audit
from tenants.encryption import decrypt, encrypt
from tenants.isolation import tenant

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from services.core.models import Asset
    from services.jobs.models import Job

PROVIDER = "plaid"
_DEBT_KINDS = {"credit_card", "loan"}


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

    code = "account_unknown"


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
) -> StartedLink:
    """Begin to link a bank into a portfolio. `return_to` is where the bank's page sends the person afterwards.

    Whoever names the link in `return_to` chooses its `link_id`, a new one: the bank is told before the link is kept.

    Raises:
        Portfolio.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: it is, since a moment ago.
        BankUnavailable: try again later.
    """
    with tenant(tenant_id):
        core_queries.get_portfolio(portfolio_id=portfolio_id)
    token = _bank().create_link_token(
        str(user_id), "en", settings.PLAID_COUNTRY_CODES, completion_redirect_uri=return_to
    )
    with tenant(tenant_id):
        core.hold_portfolio(portfolio_id=portfolio_id)
        link = Link(id=link_id or uuid4(), portfolio_id=portfolio_id, provider=PROVIDER, created_at=at)
        link.link_token = encrypt(token.token, model=Link, row_id=link.id, column="link_token")
        link.save(force_insert=True)
        audit.record(action="start", subject="link", subject_id=link.id, at=at)
    return StartedLink(link.id, token)


def complete_link(*, tenant_id: UUID, link_id: UUID, at: dt.datetime, public_token: str | None = None) -> CompletedLink:
    """Take the link into use once the person has signed in at the bank, and queue the first import.

    `public_token` comes from the bank's widget; without one the provider is asked how the visit to its hosted page
    went. A second call finds the link in use and only imports once more.

    Raises:
        Link.DoesNotExist: not this tenant's.
        LinkNotFinished: the person has not finished at the bank.
        LinkRemoved: the link was removed.
        PublicTokenInvalid: the token was used or has expired; start again.
        BankUnavailable: try again later.
    """
    bank = _bank()
    with tenant(tenant_id):
        link = queries.get_link(link_id=link_id)
        if link.state != LinkState.PENDING:
            return _completed(link, at)
        link_token = decrypt(_sealed(link.link_token), model=Link, row_id=link.id, column="link_token")
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
    # The bank tells the token once, so it is kept before anything else is asked; the import learns the bank's name.
    with tenant(tenant_id):
        changed = Link.objects.filter(id=link_id, state=LinkState.PENDING).update(
            state=LinkState.ACTIVE,
            item_id=item.item_id,
            access_token=encrypt(item.access_token, model=Link, row_id=link_id, column="access_token"),
            link_token=None,
        )
        if changed:
            audit.record(action="complete", subject="link", subject_id=link_id, at=at)
            return _completed(Link.objects.get(id=link_id), at)
    bank.remove_item(item.access_token)  # removed, or completed with another token, in the meantime
    with tenant(tenant_id):
        return _completed(Link.objects.get(id=link_id), at)


def request_sync(*, link_id: UUID, at: dt.datetime) -> "Job":
    """Queue an import of what is new at the bank; return its job (the open one, if there is one).

    Raises:
        Link.DoesNotExist: not this tenant's.
        ConsentRevoked: the bank wants a new sign-in.
        LinkNotFinished, LinkRemoved: the link is not in use.
    """
    link = queries.get_link(link_id=link_id)
    if link.state == LinkState.REVOKED:
        raise ConsentRevoked
    _require_in_use(link)
    return jobs.enqueue(kind=SYNC_LINK, subject_id=link_id, at=at, inputs={"run": {"refresh": True}})


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


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import brought. `skipped` accounts have no currency that we know."""

    accounts: int
    changes: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _News:
    """What the bank told in one import. `transactions`: by id, as it is now, or None for one that it took back."""

    institution: Institution | None
    accounts: Sequence[BankAccount]
    transactions: Mapping[str, BankTransaction | None]
    cursor: str


def run_sync(*, tenant_id: UUID, link_id: UUID, progress: Progress, at: dt.datetime, refresh: bool = False) -> Imported:
    """Import accounts, balances and transactions from where the last import ended. Repeatable.

    All pages are fetched with no transaction open and then written in one, together with the cursor: a page written by
    an import that died would stay for ever where the bank takes its transactions back before the next, since a cursor
    tells nothing of what came and went after it. `refresh` has the provider ask the bank first.

    Raises:
        ConsentRevoked: the bank wants a new sign-in; the link says so from now on.
        ItemGone: the bank no longer knows the link; it needs a new sign-in, too.
        LinkRemoved: there is nothing to import from any more.
        PortfolioBeingDeleted: there is nothing to import into.
        BankUnavailable, SyncRestart, AccountUnknown: try again later.
    """
    bank = _bank()
    with tenant(tenant_id):
        link = _link_in_use(Link.objects.select_related("portfolio"), link_id)
        token = decrypt(_sealed(link.access_token), model=Link, row_id=link_id, column="access_token")
    try:
        news = _read(bank, token, link, refresh=refresh, progress=progress)
    except (ConsentRevoked, ItemGone):
        with tenant(tenant_id):
            Link.objects.filter(id=link_id, state=LinkState.ACTIVE).update(state=LinkState.REVOKED)
        raise
    today = local_date(at, link.portfolio.time_zone)
    with tenant(tenant_id):
        link = _link_in_use(Link.objects.select_for_update(no_key=True), link_id)  # a removal comes before or after
        core.hold_portfolio(portfolio_id=link.portfolio_id)
        if news.institution:
            link.institution_id, link.institution = news.institution.institution_id, news.institution.name[:120]
        assets = _import_accounts(link, news.accounts, today=today, at=at)
        skipped = {account.external_id for account in news.accounts} - set(assets)
        _import_transactions(news, assets=assets, skipped=skipped, at=at)
        link.cursor, link.synced_at = news.cursor, at
        link.state = LinkState.ACTIVE  # what could be read from is not revoked, or no longer
        link.save(update_fields=["institution_id", "institution", "cursor", "synced_at", "state"])
        changes = len(news.transactions)
        progress.report(changes, changes, note=f"{changes} transactions imported")
    return Imported(accounts=len(news.accounts) - len(skipped), changes=changes, skipped=len(skipped))


def run_removal(*, tenant_id: UUID, link_id: UUID, progress: Progress, at: dt.datetime) -> None:
    """End the consent at the bank, forget its token, and close the accounts as of today; their history stays.

    Repeatable: of a link that is removed, or gone with its portfolio, nothing is left to do.

    Raises:
        BankUnavailable: try again later.
    """
    ended: bytes | None = None
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
            token = decrypt(_sealed(sealed), model=Link, row_id=link_id, column="access_token")
        _bank().remove_item(token)
        ended = sealed


def stop_syncs(*, portfolio_id: UUID, at: dt.datetime) -> None:
    """Cancel the imports from the portfolio's links that are queued or running: they have nothing to import into."""
    for link_id in queries.links_to_end(portfolio_id=portfolio_id):
        open_job = job_queries.open_job(kind=SYNC_LINK, subject_id=link_id)
        if open_job is not None:
            with contextlib.suppress(jobs.JobNotOpen):  # it ended in this very moment
                jobs.cancel_job(job_id=open_job.id, at=at)


def delete_linked_accounts(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the accounts that came through the portfolio's links, and return how many."""
    return delete_some(LinkedAccount.objects.filter(link__portfolio_id=portfolio_id), limit=limit)


def delete_links(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the portfolio's links, which were removed at the bank; return how many."""
    ended = Link.objects.filter(portfolio_id=portfolio_id, state=LinkState.REMOVED)
    return delete_some(ended, limit=limit)


def _link_in_use(links: "QuerySet[Link]", link_id: UUID) -> Link:
    """Return the link of that id.

    Raises:
        LinkNotFinished, LinkRemoved: it is not in use; one that is gone counts as removed.
    """
    link = links.filter(id=link_id).first()
    if link is None:
        raise LinkRemoved
    _require_in_use(link)
    return link


def _forget(link: Link, *, at: dt.datetime) -> None:
    """Note that the link has ended, and close its accounts."""
    Link.objects.filter(id=link.id).update(
        state=LinkState.REMOVED, access_token=None, link_token=None, item_id=None, cursor=""
    )
    asset_ids = LinkedAccount.objects.filter(link_id=link.id).values_list("asset_id", flat=True)
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


def _sealed(value: bytes | memoryview | None) -> bytes:
    """Return the encrypted value of a link whose state says that it has one."""
    if value is None:
        msg = "the link has no token"
        raise ValueError(msg)
    return bytes(value)


def _read(bank: Plaid, token: str, link: Link, *, refresh: bool, progress: Progress) -> _News:
    """Fetch everything that is new since the link's cursor. Each call of the bank is followed by a report."""
    if refresh:
        with contextlib.suppress(BankRefused):  # not part of every contract; the provider also asks by itself
            bank.refresh(token)
    progress.report(0, note="Reading accounts")
    institution = None
    if not link.institution_id:
        with contextlib.suppress(BankRefused):  # of another country than ours; an import needs no name
            institution = bank.institution_of(token)
        progress.report(0, note="Reading accounts")
    accounts = bank.accounts(token)
    progress.report(0, note="Reading transactions")
    transactions: dict[str, BankTransaction | None] = {}
    cursor: str | None = link.cursor or None
    while True:
        page = bank.sync_page(token, cursor)
        for each in (*page.added, *page.modified):
            transactions[each.external_id] = each
        transactions.update(dict.fromkeys(page.removed))
        progress.report(len(transactions), note=f"{len(transactions)} transactions read")
        cursor = page.next_cursor
        if not page.has_more:
            return _News(institution, accounts, transactions, cursor)


def _import_accounts(
    link: Link, accounts: Iterable[BankAccount], *, today: dt.date, at: dt.datetime
) -> dict[str, "Asset"]:
    """Mirror the accounts as assets with today's balances; return the link's assets by the bank's account ids.

    Those of accounts that the bank no longer lists are among them: it may still tell of their transactions.
    """
    linked = LinkedAccount.objects.filter(link=link).select_related("asset")
    assets = {account.external_id: account.asset for account in linked}
    balances = {}
    for account in accounts:
        if account.currency not in MINOR_DIGITS:
            continue
        asset = assets.get(account.external_id) or _import_account(link, account, at=at)
        assets[account.external_id] = asset
        if account.balance is not None:
            balances[asset.id] = round_to_minor(account.balance, asset.currency)
    core.import_balances(balances=balances, source=PROVIDER, on=today, at=at)
    return assets


def _import_account(link: Link, account: BankAccount, *, at: dt.datetime) -> "Asset":
    asset = core.import_asset(
        portfolio_id=link.portfolio_id,
        source=PROVIDER,
        external_id=account.external_id,
        name=account.name[:120],
        kind=core.AssetKind(account.kind),
        side=core.Side.DEBT if account.kind in _DEBT_KINDS else core.Side.ASSET,
        currency=account.currency or "",
        institution=link.institution,
        at=at,
    )
    LinkedAccount.objects.get_or_create(
        link=link, external_id=account.external_id, defaults={"asset_id": asset.id, "mask": (account.mask or "")[:10]}
    )
    return asset


def _import_transactions(news: _News, *, assets: Mapping[str, "Asset"], skipped: set[str], at: dt.datetime) -> None:
    upserts = [each for each in news.transactions.values() if each and each.account_external_id not in skipped]
    if unknown := {each.account_external_id for each in upserts} - set(assets):
        msg = f"The bank told of transactions on {len(unknown)} accounts that it does not list."
        raise AccountUnknown(msg)
    imported = [_imported(each, assets[each.account_external_id]) for each in upserts]
    core.import_transactions(source=PROVIDER, upserts=imported, removed=[], at=at)
    # Afterwards: the bank also takes back each pending transaction that was just turned into its posted one.
    removed = [external_id for external_id, each in news.transactions.items() if each is None]
    core.import_transactions(source=PROVIDER, upserts=[], removed=removed, at=at)


def _imported(each: BankTransaction, asset: "Asset") -> ImportedTransaction:
    return ImportedTransaction(
        external_id=each.external_id,
        asset_id=asset.id,
        booked_on=each.booked_on,
        amount=round_to_minor(each.amount, asset.currency),
        description=each.description[:300],
        merchant=(each.merchant or "")[:120],
        category=(each.category or "")[:60],
        pending=each.pending,
        replaces=each.replaces_pending_id,
    )

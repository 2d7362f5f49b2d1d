"""Importing from the banks. The network is never waited for inside a transaction."""

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from fatfire.kit.clock import local_date
from fatfire.kit.errors import TransientError
from fatfire.kit.money import round_to_minor
from services.core import operations as core
from services.core.operations import ImportedTransaction
from services.integration import queries
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkState
from services.integration.operations.accounts import Mirrored, import_accounts
from services.integration.operations.provider import PROVIDER, LinkRemoved, open_bank, open_token, require_in_use
from services.integration.providers.plaid import (
    BankAccount,
    BankRefused,
    BankTransaction,
    ConsentRevoked,
    Institution,
    ItemGone,
    Plaid,
)
from services.jobs import operations as jobs
from services.jobs import queries as job_queries
from services.jobs.operations import Progress
from tenants.encryption import open_cipher
from tenants.isolation import tenant

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from services.core.models import Asset
    from services.jobs.models import Job


class AccountUnknown(TransientError):
    """The bank told of a transaction on an account that it had not told of; the next attempt will know it."""

    code = "account_unknown"


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
    require_in_use(link)
    return jobs.enqueue(kind=SYNC_LINK, subject_id=link_id, at=at, inputs={"run": {"refresh": True}})


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import brought. `skipped` accounts are left out: see `services.integration.models.LeftOut`."""

    accounts: int
    changes: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _News:
    """What the bank told in one import. `transactions`: by id, as it is now, or None for one that it took back.

    They are those since the cursor `since`; all of them when that is empty.
    """

    since: str
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
    bank, cipher = open_bank(), open_cipher(tenant_id)
    with tenant(tenant_id):
        link = _link_in_use(Link.objects.select_related("portfolio"), link_id)
        token = open_token(cipher, link, column="access_token")
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
        mirrored = import_accounts(link, news.accounts, today=today, at=at)
        _import_transactions(news, mirrored, at=at)
        if mirrored.has_late and news.since:  # of an account that was left out until now all is still to be read
            link.cursor = ""
            jobs.enqueue(kind=SYNC_LINK, subject_id=link_id, at=at)  # once more, when this one ends
        elif link.cursor == news.since:  # else a person's choice has everything read anew
            link.cursor = news.cursor
        link.synced_at = at
        link.state = LinkState.ACTIVE  # what could be read from is not revoked, or no longer
        link.save(update_fields=["institution_id", "institution", "cursor", "synced_at", "state"])
        changes = len(news.transactions)
        progress.report(changes, changes, note=f"{changes} transactions imported")
    skipped = sum(account.external_id in mirrored.left_out for account in news.accounts)
    return Imported(accounts=len(news.accounts) - skipped, changes=changes, skipped=skipped)


def stop_syncs(*, portfolio_id: UUID, at: dt.datetime) -> None:
    """Cancel the imports from the portfolio's links that are queued or running: they have nothing to import into."""
    for link_id in queries.links_to_end(portfolio_id=portfolio_id):
        open_job = job_queries.open_job(kind=SYNC_LINK, subject_id=link_id)
        if open_job is not None:
            with contextlib.suppress(jobs.JobNotOpen):  # it ended in this very moment
                jobs.cancel_job(job_id=open_job.id, at=at)


def _link_in_use(links: "QuerySet[Link]", link_id: UUID) -> Link:
    """Return the link of that id.

    Raises:
        LinkNotFinished, LinkRemoved: it is not in use; one that is gone counts as removed.
    """
    link = links.filter(id=link_id).first()
    if link is None:
        raise LinkRemoved
    require_in_use(link)
    return link


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
            return _News(link.cursor, institution, accounts, transactions, cursor)


def _import_transactions(news: _News, mirrored: Mirrored, *, at: dt.datetime) -> None:
    told = [each for each in news.transactions.values() if each]
    upserts = [each for each in told if each.account_external_id not in mirrored.left_out]
    if unknown := {each.account_external_id for each in upserts} - set(mirrored.assets):
        msg = f"The bank told of transactions on {len(unknown)} accounts that it does not list."
        raise AccountUnknown(msg)
    imported = [_imported(each, mirrored.assets[each.account_external_id]) for each in upserts]
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

"""The accounts at the banks: which asset mirrors each, which are left out and why, and in what currency each is.

Whoever writes here holds the lock of the link's row, so an import and a person's choice come one after the other.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import IntegrityError, transaction

from fatfire.kit.batches import delete_some
from fatfire.kit.errors import DomainError
from fatfire.kit.money import MINOR_DIGITS, require_currency, round_to_minor
from services.core import operations as core
from services.integration import queries
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.operations.provider import PROVIDER, require_in_use
from services.integration.providers.plaid import BankAccount
from services.jobs import operations as jobs
from tenants import audit
from tenants.isolation import current_alias

_DEBT_KINDS = {"credit_card", "loan"}


class AccountLinkedAlready(DomainError):
    """Another link brings the same account; it is counted there."""

    code = "account_linked_already"


@dataclass(slots=True)
class Mirrored:
    """What became of a link's accounts: the assets and those left out, by the bank's ids.

    `has_late` tells that one was left out until now: its transactions were passed over.
    """

    assets: dict[str, core.Asset] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    has_late: bool = False


def import_accounts(link: Link, accounts: Iterable[BankAccount], *, today: dt.date, at: dt.datetime) -> Mirrored:
    """Mirror the accounts as assets with today's balances.

    Those that the bank no longer lists are in the answer, too: it may still tell of their transactions. An account is
    left out when the bank tells no currency that we know, and when another link of the portfolio brings it.
    """
    known = {each.external_id: each for each in LinkedAccount.objects.filter(link=link).select_related("asset")}
    mirrored = Mirrored()
    balances = {}
    for account in accounts:
        row = known.setdefault(account.external_id, LinkedAccount(link=link, external_id=account.external_id))
        was_left_out = not row._state.adding and row.asset_id is None
        _note(row, account)
        if row.identity is None and row.currency:
            _count(row, link, at=at)  # one that is counted since before identities were kept claims its own
        mirrored.has_late |= was_left_out and row.asset_id is not None
        # Where the bank never told a currency the person's choice holds; where it no longer does, it counts in points.
        if row.asset and account.balance is not None and (account.currency in MINOR_DIGITS or not row.currency):
            balances[row.asset.id] = round_to_minor(account.balance, row.asset.currency)
    for external_id, row in known.items():
        if row.asset is None:
            mirrored.left_out.add(external_id)
        else:
            mirrored.assets[external_id] = row.asset
    core.import_balances(balances=balances, source=PROVIDER, on=today, at=at)
    return mirrored


def set_account_currency(*, account_id: UUID, currency: str, at: dt.datetime) -> LinkedAccount:
    """Reckon an account at a bank in a currency of the person's choice, which every later import keeps.

    For an account whose bank tells no currency, which is left out until then, or a wrong one. The bank's figures stay
    as they are and nothing is converted: 100.00 in US dollars become 100.00 in Australian dollars, from the first day
    on, and the portfolio's history is worked out anew. Everything is then read once more from the bank: what was left
    out has no transactions yet, and another currency may have more decimals.

    Raises:
        LinkedAccount.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: its portfolio is, since a moment ago.
        LinkNotFinished, LinkRemoved: its link is not in use.
        AccountLinkedAlready: it is left out because another link brings it.
        InvalidInput: the currency doesn't exist, or has fewer decimals than the account's figures.
    """
    link = _locked_link(queries.get_linked_account(account_id=account_id).link_id)
    account = LinkedAccount.objects.select_related("asset").get(id=account_id)
    require_currency(currency)
    if account.asset is None:
        if account.currency or not _count(account, link, at=at, currency=currency):
            raise AccountLinkedAlready
        audit.record(action="currency", subject="account", subject_id=account_id, at=at, currency=currency)
    elif account.asset.currency == currency:
        return account
    else:
        account.asset = core.change_currency(asset_id=account.asset.id, currency=currency, source=PROVIDER, at=at)
    _read_anew(link, at=at)
    return account


def count_twins(*, link_id: UUID, at: dt.datetime) -> Link:
    """Count all accounts of the link from now on, those too that look like accounts of another link.

    The bank doesn't say which account is which: same bank, kind, name and last digits is all there is to go by, and a
    person may know better.

    Raises:
        Link.DoesNotExist: not this tenant's.
        PortfolioBeingDeleted: its portfolio is, since a moment ago.
        LinkNotFinished, LinkRemoved: the link is not in use.
    """
    link = _locked_link(link_id)
    Link.objects.filter(id=link_id).update(counts_twins=True)
    audit.record(action="count twins", subject="link", subject_id=link_id, at=at)
    _read_anew(link, at=at)
    return Link.objects.get(id=link_id)


def give_up_accounts(link: Link, *, on: dt.date, at: dt.datetime) -> None:
    """Close the assets of a link that ends; other links that bring the same accounts are asked to count theirs."""
    accounts = LinkedAccount.objects.filter(link_id=link.id)
    asset_ids = accounts.filter(asset__isnull=False).values_list("asset_id", flat=True)
    core.close_assets(asset_ids=list(asset_ids), on=on, at=at)
    accounts.update(identity=None)
    others = queries.list_links().filter(portfolio_id=link.portfolio_id, state=LinkState.ACTIVE)
    left_out = LinkedAccount.objects.filter(asset=None, link__in=others)
    for link_id in left_out.order_by("link_id").values_list("link_id").distinct():
        jobs.enqueue(kind=SYNC_LINK, subject_id=link_id[0], at=at)


def delete_linked_accounts(*, portfolio_id: UUID, limit: int) -> int:
    """Delete at most `limit` of the accounts that came through the portfolio's links; return how many."""
    return delete_some(LinkedAccount.objects.filter(link__portfolio_id=portfolio_id), limit=limit)


def _locked_link(link_id: UUID) -> Link:
    """Return the link in use, locked, its portfolio held."""
    link = queries.list_links().select_for_update(no_key=True).get(id=link_id)
    require_in_use(link)
    core.hold_portfolio(portfolio_id=link.portfolio_id)
    return link


def _read_anew(link: Link, *, at: dt.datetime) -> None:
    """Have the link's next import read everything; of a revoked link that is after it was renewed."""
    Link.objects.filter(id=link.id).update(cursor="")
    if link.state == LinkState.ACTIVE:
        jobs.enqueue(kind=SYNC_LINK, subject_id=link.id, at=at)


def _note(row: LinkedAccount, account: BankAccount) -> None:
    """Keep what the bank says of the account; a currency that it once told stays when it tells none."""
    told = {
        "name": account.name[:120],
        "kind": account.kind,
        "mask": (account.mask or "")[:10],
        "currency": account.currency if account.currency in MINOR_DIGITS else row.currency,
    }
    if row._state.adding or any(getattr(row, name) != value for name, value in told.items()):
        for name, value in told.items():
            setattr(row, name, value)
        row.save()


def _count(row: LinkedAccount, link: Link, *, at: dt.datetime, currency: str = "") -> bool:
    """Give the account its asset; return False, with nothing changed, when another link's row has its identity.

    Not looked up first: two links' first imports may run side by side, and only the constraint sees both.
    """
    before = row.asset, row.identity
    try:
        with transaction.atomic(using=current_alias()):
            row.identity = _identity(row, link)
            row.asset = row.asset or core.import_asset(
                portfolio_id=link.portfolio_id,
                source=PROVIDER,
                external_id=row.external_id,
                name=row.name,
                kind=core.AssetKind(row.kind),
                side=core.Side.DEBT if row.kind in _DEBT_KINDS else core.Side.ASSET,
                currency=currency or row.currency,
                institution=link.institution,
                at=at,
            )
            if (row.asset, row.identity) != before:
                row.save(update_fields=["asset", "identity"])
    except IntegrityError as error:
        if "integration_account_counted_once" not in str(error):
            raise
        row.asset, row.identity = before
        return False
    return True


def _identity(row: LinkedAccount, link: Link) -> str | None:
    """Return what tells the account from all others of the portfolio; None when the bank doesn't tell enough for it.

    The provider's own ids are new with every link, so it is the bank, the account's name there and its last digits,
    which the provider says to compare, and the kind of account besides.
    Source: https://plaid.com/docs/link/duplicate-items/, read on 2026-11-23.
    """
    if link.counts_twins or not (link.institution_id and row.mask):
        return None
    return f"{link.portfolio_id}:{link.institution_id}:{row.kind}:{row.mask}:{row.name}"

"""Rows for tests that need a bank: the running simulator, and a tenant with a link to it."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr

from services.core.models import Asset, Transaction, Valuation
from services.integration import operations as integration
from services.integration.models import Link, LinkedAccount
from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.institutions import WATTLE
from tenants.encryption import open_cipher
from tenants.isolation import tenant
from tests.contracts.bank import NOW, Bank, running_bank
from tests.factories import make_portfolio, make_tenant, owner_id


@contextlib.contextmanager
def connected_bank(path: Path, settings) -> Iterator[Bank]:
    """Run a bank of its own, as the one that the settings name."""
    with running_bank(path / "bank.sqlite3") as bank:
        settings.PLAID_URL = bank.url
        settings.PLAID_CLIENT_ID = CLIENT_ID
        settings.PLAID_SECRET = SecretStr(SECRET)
        yield bank


@dataclass(frozen=True)
class Linked:
    """A link, whose it is, and its item at the bank."""

    tenant_id: UUID
    portfolio_id: UUID
    link_id: UUID
    item_id: str


def start(*, portfolio_currency: str = "AUD") -> tuple[UUID, UUID, integration.StartedLink]:
    """Return a new tenant, its portfolio and a link that waits for the person."""
    owner = make_tenant()
    with tenant(owner.id):
        portfolio_id = make_portfolio(name="Family", currency=portfolio_currency).id
    started = integration.start_link(tenant_id=owner.id, portfolio_id=portfolio_id, user_id=owner_id(owner), at=NOW)
    return owner.id, portfolio_id, started


def public_token(bank: Bank, institution_id: str = WATTLE.institution_id, history_days: int = 30) -> str:
    """Sign in at the bank as a person does with the widget."""
    asked = {
        "institution_id": institution_id,
        "initial_products": ["transactions"],
        "options": {"transactions": {"days_requested": history_days}},
    }
    return bank.sandbox("/sandbox/public_token/create", **asked)["public_token"]


def link_bank(
    bank: Bank, institution_id: str = WATTLE.institution_id, *, history_days: int = 30, portfolio_currency: str = "AUD"
) -> Linked:
    """Return a link in use; its first import is queued."""
    tenant_id, portfolio_id, started = start(portfolio_currency=portfolio_currency)
    token = public_token(bank, institution_id, history_days)
    integration.complete_link(tenant_id=tenant_id, link_id=started.link_id, public_token=token, at=NOW)
    with tenant(tenant_id):
        item_id = Link.objects.get(id=started.link_id).item_id
    return Linked(tenant_id, portfolio_id, started.link_id, item_id)


def request_sync(linked: Linked, *, at: dt.datetime = NOW) -> UUID:
    """Ask for an import; return the id of its job."""
    with tenant(linked.tenant_id):
        return integration.request_sync(link_id=linked.link_id, at=at).id


def account_of(bank: Bank, linked: Linked, key: str) -> str:
    """Return the bank's id of one of the link's accounts."""
    return next(each.account_id for each in bank.store.accounts(linked.item_id) if each.plan.key == key)


def told_by(bank: Bank, linked: Linked) -> list[tuple]:
    """Return the transactions that the bank has in its own books, in our signs."""
    return sorted(
        (each.transaction_id, each.account_id, each.booked_on, -each.amount, each.description, each.pending)
        for account in bank.store.accounts(linked.item_id)
        for each in bank.store.transactions(account.account_id)
    )


def kept_of(linked: Linked) -> list[tuple]:
    """Return the transactions that are kept of the link, in the same form."""
    with tenant(linked.tenant_id):
        return sorted(
            Transaction.objects.values_list(
                "external_id", "asset__external_id", "booked_on", "amount", "description", "pending"
            )
        )


def balances_told_by(bank: Bank, linked: Linked) -> dict[str, Decimal]:
    """Return what the bank says is in each account; what is owed is negative."""
    return {
        each.account_id: -each.current if each.plan.type in {"credit", "loan"} else each.current
        for each in bank.store.accounts(linked.item_id)
    }


def balances_kept_of(linked: Linked, on: dt.date) -> dict[str, Decimal]:
    """Return the balances kept for a day."""
    with tenant(linked.tenant_id):
        return dict(Valuation.objects.filter(on=on).values_list("asset__external_id", "value"))


def link_of(linked):
    with tenant(linked.tenant_id):
        return Link.objects.get(id=linked.link_id)


def everything(linked):
    """Return all that an import writes, but for when."""
    with tenant(linked.tenant_id):
        return [
            sorted(
                model.objects.values_list(*[f.attname for f in model._meta.fields if f.attname not in ignored]), key=str
            )
            for model, ignored in [
                (Asset, ()),
                (Transaction, ()),
                (Valuation, ()),
                (LinkedAccount, ()),
                (Link, ("synced_at",)),
            ]
        ]


def token_of(linked):
    with tenant(linked.tenant_id):
        sealed = bytes(Link.objects.get(id=linked.link_id).access_token)
    return open_cipher(linked.tenant_id).decrypt(sealed, model=Link, row_id=linked.link_id, column="access_token")

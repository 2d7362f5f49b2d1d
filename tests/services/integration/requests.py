"""For the API's guards: requests about banks' accounts that succeed, and how their list gets rows."""

import itertools
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import connections

from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.providers.plaid import Plaid
from services.integration.sandbox.institutions import WATTLE
from tenants.encryption import Cipher, open_cipher
from tests.api.document import Request
from tests.factories import AT, make_asset, make_portfolio

_numbers = itertools.count(1)


def _make_link() -> Link:
    return Link.objects.create(
        portfolio=make_portfolio(),
        provider="plaid",
        state=LinkState.ACTIVE,
        item_id=uuid.uuid4().hex,
        access_token=b"sealed",
        created_at=AT,
    )


def _make_account(link: Link) -> LinkedAccount:
    """Make an account that the bank tells no currency of: it waits for a person's choice."""
    return LinkedAccount.objects.create(
        link=link, external_id=f"account-{next(_numbers)}", name="Points", kind="credit_card", mask="0132"
    )


def _make_counted(link: Link) -> LinkedAccount:
    return LinkedAccount.objects.create(
        link=link, asset=make_asset(link.portfolio), external_id=f"account-{next(_numbers)}", currency="AUD"
    )


def _sign_in() -> str:
    """Return an access token of the running bank."""
    bank = Plaid(settings.PLAID_URL, settings.PLAID_CLIENT_ID, settings.PLAID_SECRET.get_secret_value())
    return bank.exchange_public_token(bank.create_sandbox_public_token(WATTLE.institution_id)).access_token


def _renew_link() -> Request:
    link = _make_link()
    with ThreadPoolExecutor(1) as elsewhere:  # this thread's transaction is open, and the network isn't for it
        token = elsewhere.submit(_sign_in).result()
        cipher = elsewhere.submit(_open_cipher, link.tenant_id).result()
    link.access_token = cipher.encrypt(token, model=Link, row_id=link.id, column="access_token")
    link.save(update_fields=["access_token"])
    return Request(path={"link_id": link.id}, body={})


def _open_cipher(tenant_id: uuid.UUID) -> Cipher:
    try:
        return open_cipher(tenant_id)
    finally:
        connections.close_all()  # this thread's


REQUESTS: dict[str, Callable[[], Request]] = {
    "find_institutions": Request,
    "list_linked_accounts": lambda: Request(path={"link_id": _make_account(_make_link()).link_id}),
    "set_account_currency": lambda: Request(
        path={"account_id": _make_account(_make_link()).id}, body={"currency": "USD"}
    ),
    "renew_link": _renew_link,
    "count_twins": lambda: Request(path={"link_id": _make_link().id}),
}


def _account_list() -> tuple[Request, Callable[[], object]]:
    link = _make_link()
    return Request(path={"link_id": link.id}), lambda: _make_counted(link)


LISTS: dict[str, Callable[[], tuple[Request, Callable[[], object]]]] = {"list_linked_accounts": _account_list}

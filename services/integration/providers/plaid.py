"""Speak Plaid's API and answer in our conventions.

Signs: an amount is positive when money comes into the account (Plaid's positive goes out), and a debt's balance is
negative (Plaid says what is owed). Money is an exact `Decimal`; days are local to the account.

Source: https://plaid.com/docs/api/ (version 2020-09-14); all of this is tested against tests/contracts/plaid.json.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fatfire.kit import http
from fatfire.kit.errors import DomainError, TransientError
from services.integration.providers.record import Malformed, Record

API_VERSION = "2020-09-14"
HISTORY_DAYS = 730  # the most that Plaid gives; its default is 90
INSTITUTIONS_A_PAGE = 500
MOST_FOUND = 10  # the most that a search gives

KINDS = {
    "depository": "bank_account",
    "credit": "credit_card",
    "loan": "loan",
    "investment": "share",
    "brokerage": "share",
}
DEBTS = frozenset(("credit", "loan"))
RETIREMENT_SUBTYPES = frozenset(
    (
        "401a", "401k", "403B", "457b", "ira", "keogh", "lif", "lira", "lrif", "lrsp", "pension", "prif",
        "profit sharing plan", "retirement", "rlif", "roth", "roth 401k", "roth 403B", "roth 457b", "roth pension",
        "roth profit sharing plan", "roth thrift savings plan", "rrif", "rrsp", "sarsep", "sep ira", "simple ira",
        "sipp", "thrift savings plan",
    )
)  # fmt: skip


class ConsentRevoked(DomainError):
    """The holder withdrew consent at the bank; only a new sign-in there helps."""

    status, code = 409, "consent_revoked"


class PublicTokenInvalid(DomainError):
    """The bank's approval was used already or has expired; link the bank again."""

    status, code = 409, "public_token_invalid"


class ItemGone(DomainError):
    """The bank no longer knows this link."""

    status, code = 409, "item_gone"


class BankRefused(DomainError):
    """The bank refused what we asked."""

    status, code = 409, "bank_refused"


class InstitutionUnknown(BankRefused):
    """The provider knows no such bank here."""

    status, code = 404, "institution_unknown"


class SyncRestart(TransientError):
    """The bank's transactions changed while they were read; the import starts again from the cursor it began with."""


class BankUnavailable(TransientError):
    """The bank can't be reached at the moment."""


ERRORS: dict[str, type[DomainError]] = {
    "ITEM_LOGIN_REQUIRED": ConsentRevoked,
    "USER_PERMISSION_REVOKED": ConsentRevoked,
    "ACCESS_NOT_GRANTED": ConsentRevoked,
    "INVALID_PUBLIC_TOKEN": PublicTokenInvalid,
    "INVALID_INSTITUTION": InstitutionUnknown,
    "ITEM_NOT_FOUND": ItemGone,
    "INVALID_ACCESS_TOKEN": ItemGone,
    "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION": SyncRestart,
    "PRODUCT_NOT_READY": BankUnavailable,
    "INSTITUTION_DOWN": BankUnavailable,
    "INSTITUTION_NOT_RESPONDING": BankUnavailable,
    "INSTITUTION_NOT_AVAILABLE": BankUnavailable,
    "RATE_LIMIT": BankUnavailable,
    "INTERNAL_SERVER_ERROR": BankUnavailable,
    "PLANNED_MAINTENANCE": BankUnavailable,
}
TRANSIENT_TYPES = frozenset(("API_ERROR", "RATE_LIMIT_EXCEEDED"))


@dataclass(frozen=True, slots=True)
class LinkToken:
    """Leave to link one bank: `hosted_url` is the page where the person does it, `expires_at` is in UTC."""

    token: str
    expires_at: dt.datetime
    hosted_url: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """A linked bank. The access token is permanent and must be encrypted at rest."""

    item_id: str
    access_token: str

    def __repr__(self) -> str:
        """Show the id only: a repr ends in logs."""
        return f"Item(item_id={self.item_id!r})"


@dataclass(frozen=True, slots=True)
class Institution:
    """A bank that can be linked; `routing_number` is one of its numbers, None when none is known."""

    institution_id: str
    name: str
    routing_number: str | None = None


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account at the bank. `kind` is one of our asset kinds.

    `balance` is negative for what is owed, None when the bank doesn't tell; `available` is what may be spent, credit
    included. `currency` is ISO 4217, None when the bank names an unofficial one or none.
    """

    external_id: str
    name: str
    official_name: str | None
    mask: str | None
    kind: str
    subtype: str | None
    currency: str | None
    balance: Decimal | None
    available: Decimal | None


@dataclass(frozen=True, slots=True)
class BankTransaction:
    """A movement on an account: `amount` is positive for money in; `replaces_pending_id` was its id while pending."""

    external_id: str
    account_external_id: str
    booked_on: dt.date
    authorised_on: dt.date | None
    amount: Decimal
    currency: str | None
    description: str
    merchant: str | None
    pending: bool
    replaces_pending_id: str | None
    category: str | None


@dataclass(frozen=True, slots=True)
class SyncPage:
    """Changes since a cursor; `removed` holds external ids. Keep `next_cursor` only once `has_more` is false."""

    added: tuple[BankTransaction, ...]
    modified: tuple[BankTransaction, ...]
    removed: tuple[str, ...]
    next_cursor: str
    has_more: bool


class Plaid:
    """Plaid at one address with one client's credentials.

    Every call raises `BankUnavailable` when Plaid can't be reached or understood, `ConsentRevoked` or `ItemGone` when
    the item's token no longer works, `BankRefused` otherwise, and `kit.http.NetworkInTransaction` inside a transaction.
    """

    def __init__(self, base_url: str, client_id: str, secret: str, *, country_codes: Sequence[str] = ("US",)) -> None:
        """Speak to `base_url`; `country_codes` (ISO 3166-1 alpha-2) are those whose institutions may be asked for."""
        self._country_codes = list(country_codes)
        self._client = http.Client(
            base_url, headers={"PLAID-CLIENT-ID": client_id, "PLAID-SECRET": secret, "Plaid-Version": API_VERSION}
        )

    def create_link_token(
        self,
        client_user_id: str,
        language: str,
        country_codes: Sequence[str],
        hosted: bool = True,
        *,
        client_name: str = "fatfire",
        completion_redirect_uri: str | None = None,
        webhook: str | None = None,
        access_token: str | None = None,
        routing_number: str | None = None,
    ) -> LinkToken:
        """Ask for leave to link a bank; with `access_token`, to renew the consent of a linked one.

        `completion_redirect_uri` is where the hosted page sends the person afterwards. `routing_number` has the page
        show that bank first; the person may still take another. It is how the document lets a client name a bank:
        `institution_id` is there "for certain legacy use cases" only.

        Raises:
            ItemGone: the item of `access_token` is gone for good; only a new link helps.
        """
        asked: dict[str, Any] = {
            "client_name": client_name,
            "language": language,
            "country_codes": list(country_codes),
            "user": {"client_user_id": client_user_id},
        }
        if access_token is None:
            asked |= {"products": ["transactions"], "transactions": {"days_requested": HISTORY_DAYS}}
        else:
            asked["access_token"] = access_token
        if routing_number is not None:
            asked["institution_data"] = {"routing_number": routing_number}
        if webhook is not None:
            asked["webhook"] = webhook
        if hosted:
            returning = {} if completion_redirect_uri is None else {"completion_redirect_uri": completion_redirect_uri}
            asked["hosted_link"] = returning
        return self._call(
            "/link/token/create",
            asked,
            lambda answer: LinkToken(
                answer.text("link_token"), answer.moment("expiration"), answer.text_or_none("hosted_link_url")
            ),
        )

    def get_link_result(self, link_token: str) -> list[str]:
        """Return the public tokens that the person's approvals produced; empty until there is one."""
        return self._call("/link/token/get", {"link_token": link_token}, _public_tokens)

    def exchange_public_token(self, public_token: str) -> Item:
        """Exchange a public token, once, for the permanent access token.

        Raises:
            PublicTokenInvalid: it was used already or has expired.
        """
        return self._call(
            "/item/public_token/exchange",
            {"public_token": public_token},
            lambda answer: Item(answer.text("item_id"), answer.text("access_token")),
        )

    def create_sandbox_public_token(self, institution_id: str) -> str:
        """Sign in at a bank without a person, and return the public token. Plaid offers this in its sandbox only."""
        asked = {
            "institution_id": institution_id,
            "initial_products": ["transactions"],
            "options": {"transactions": {"days_requested": HISTORY_DAYS}},
        }
        return self._call("/sandbox/public_token/create", asked, lambda answer: answer.text("public_token"))

    def institution_of(self, access_token: str) -> Institution | None:
        """Return the bank of a linked item; None when Plaid doesn't know it."""
        institution_id = self._call(
            "/item/get",
            {"access_token": access_token},
            lambda answer: answer.record("item").text_or_none("institution_id"),
        )
        return None if institution_id is None else self.institution(institution_id)

    def is_signed_in(self, access_token: str) -> bool:
        """Return whether the bank lets the item in: it has no error that only the person can mend at the bank."""
        item = self._call("/item/get", {"access_token": access_token}, lambda answer: answer.record("item"))
        return item.record_or_none("error") is None

    def institution(self, institution_id: str) -> Institution:
        """Return one bank.

        Raises:
            InstitutionUnknown: there is none, or not in our countries.
        """
        return self._call(
            "/institutions/get_by_id",
            {"institution_id": institution_id, "country_codes": self._country_codes},
            lambda answer: _institution(answer.record("institution")),
        )

    def search_institutions(self, query: str) -> list[Institution]:
        """Return the banks, at most `MOST_FOUND`, whose names match `query` and that tell transactions."""
        return self._call(
            "/institutions/search",
            {"query": query, "products": ["transactions"], "country_codes": self._country_codes},
            lambda answer: [_institution(each) for each in answer.records("institutions")],
        )

    def first_institutions(self, count: int) -> list[Institution]:
        """Return the first `count` banks (1 to 500) in the provider's own order."""
        return self._institutions_page(count=count, offset=0)[0]

    def list_institutions(self) -> list[Institution]:
        """Return every bank that can be linked; several calls when there are many."""
        found: list[Institution] = []
        while True:
            page, total = self._institutions_page(count=INSTITUTIONS_A_PAGE, offset=len(found))
            found.extend(page)
            if not page or len(found) >= total:
                return found

    def _institutions_page(self, *, count: int, offset: int) -> tuple[list[Institution], int]:
        """Return a page of the banks that tell transactions, and how many there are in all."""
        return self._call(
            "/institutions/get",
            {
                "count": count,
                "offset": offset,
                "country_codes": self._country_codes,
                "options": {"products": ["transactions"]},
            },
            lambda answer: ([_institution(each) for each in answer.records("institutions")], answer.count("total")),
        )

    def accounts(self, access_token: str) -> list[BankAccount]:
        """Return the item's accounts with the balances that the bank last told."""
        return self._call(
            "/accounts/get",
            {"access_token": access_token},
            lambda answer: [_bank_account(each) for each in answer.records("accounts")],
        )

    def sync_page(self, access_token: str, cursor: str | None, count: int = 500) -> SyncPage:
        """Return at most `count` changes (1 to 500) after `cursor`; None begins at the first transaction.

        Raises:
            SyncRestart: the transactions changed between two pages.
        """
        asked: dict[str, Any] = {"access_token": access_token, "count": count}
        if cursor:
            asked["cursor"] = cursor
        return self._call("/transactions/sync", asked, _sync_page)

    def refresh(self, access_token: str) -> None:
        """Have Plaid ask the bank for news; they come with a later `sync_page`."""
        self._call("/transactions/refresh", {"access_token": access_token}, lambda _: None)

    def remove_item(self, access_token: str) -> None:
        """End the link and void the access token. Repeatable: an item that is gone counts as removed."""
        try:
            self._call("/item/remove", {"access_token": access_token}, lambda _: None)
        except ItemGone:
            return

    def _call[T](self, path: str, asked: Mapping[str, Any], read: Callable[[Record], T]) -> T:
        """Send `asked` and return what `read` makes of the answer."""
        try:
            answer = self._client.post(path, asked)
        except (http.Unreachable, http.Unreadable) as error:
            raise BankUnavailable from error
        if answer.status != 200:
            raise _refusal(answer)
        try:
            return read(Record(answer.body))
        except Malformed as error:
            msg = f"The bank's answer from {path} could not be understood."
            raise BankUnavailable(msg) from error


def _refusal(answer: http.Answer) -> DomainError:
    """Return the named error for an error answer. Plaid's own message stays out: it may quote a token."""
    try:
        refused = Record(answer.body)
        error_type, error_code = refused.text("error_type"), refused.text("error_code")
        request_id = refused.text_or_none("request_id")
    except Malformed:
        return BankUnavailable()
    usual = BankUnavailable if error_type in TRANSIENT_TYPES else BankRefused
    error = ERRORS.get(error_code, usual)
    known = re.fullmatch(r"[A-Z_]{1,80}", error_code) and re.fullmatch(r"[\w-]{0,80}", request_id or "")
    return error(f"{error.title()} ({error_code}, request {request_id})" if known else error.title())


def _public_tokens(answer: Record) -> list[str]:
    sessions = answer.records_if_any("link_sessions")
    results = [found for session in sessions if (found := session.record_or_none("results")) is not None]
    return [added.text("public_token") for each in results for added in each.records("item_add_results")]


def _institution(record: Record) -> Institution:
    numbers = record.texts("routing_numbers")
    return Institution(record.text("institution_id"), record.text("name"), numbers[0] if numbers else None)


def _bank_account(record: Record) -> BankAccount:
    kind, subtype = record.text("type"), record.text_or_none("subtype")
    balances = record.record("balances")
    current = balances.amount_or_none("current")
    retirement = kind in {"investment", "brokerage"} and subtype in RETIREMENT_SUBTYPES
    return BankAccount(
        external_id=record.text("account_id"),
        name=record.text("name"),
        official_name=record.text_or_none("official_name"),
        mask=record.text_or_none("mask"),
        kind="superannuation" if retirement else KINDS.get(kind, "other"),
        subtype=subtype,
        currency=balances.text_or_none("iso_currency_code"),
        balance=-current if current is not None and kind in DEBTS else current,
        available=balances.amount_or_none("available"),
    )


def _bank_transaction(record: Record) -> BankTransaction:
    category = record.record_or_none("personal_finance_category")
    return BankTransaction(
        external_id=record.text("transaction_id"),
        account_external_id=record.text("account_id"),
        booked_on=record.day("date"),
        authorised_on=record.day_or_none("authorized_date"),
        amount=-record.amount("amount"),
        currency=record.text_or_none("iso_currency_code"),
        description=record.text("name"),
        merchant=record.text_or_none("merchant_name"),
        pending=record.flag("pending"),
        replaces_pending_id=record.text_or_none("pending_transaction_id"),
        category=None if category is None else category.text("primary"),
    )


def _sync_page(answer: Record) -> SyncPage:
    return SyncPage(
        added=tuple(_bank_transaction(each) for each in answer.records("added")),
        modified=tuple(_bank_transaction(each) for each in answer.records("modified")),
        removed=tuple(each.text("transaction_id") for each in answer.records("removed")),
        next_cursor=answer.text("next_cursor"),
        has_more=answer.flag("has_more"),
    )

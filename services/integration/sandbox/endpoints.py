"""Plaid's endpoints, those that the adapter uses and the sandbox's own. Each answers one request's JSON with JSON."""

import datetime as dt
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from services.integration.providers.record import Malformed, Record
from services.integration.sandbox import answers
from services.integration.sandbox.entries import cents_of
from services.integration.sandbox.institutions import INSTITUTIONS, InstitutionPlan
from services.integration.sandbox.links import Item, LinkRequest
from services.integration.sandbox.problems import Problem
from services.integration.sandbox.store import HISTORY_DAYS, Store

LINK_TOKEN_LASTS = dt.timedelta(hours=4)
HOSTED_LINK_LASTS = dt.timedelta(minutes=30)
DEFAULT_HISTORY_DAYS = 90
DEFAULT_SYNC_COUNT, MOST_SYNC_COUNT = 100, 500
MOST_FOUND = 10
MOST_SANDBOX_TRANSACTIONS = 10
SANDBOX_TRANSACTION_REACH = dt.timedelta(days=14)


class Endpoints:
    """The API over one store, for one client."""

    def __init__(
        self,
        store: Store,
        *,
        client_id: str,
        secret: str,
        today: Callable[[], dt.date],
        now: Callable[[], dt.datetime],
    ) -> None:
        """Serve whoever knows `client_id` and `secret`; `today` is the banks' day, `now` decides what has expired."""
        self._store = store
        self._credentials = (client_id, secret)
        self._today = today
        self._now = now
        self._routes: dict[str, Callable[[Record, str], dict[str, Any]]] = {
            "/link/token/create": self._link_token_create,
            "/link/token/get": self._link_token_get,
            "/item/public_token/exchange": self._public_token_exchange,
            "/item/get": self._item_get,
            "/item/remove": self._item_remove,
            "/institutions/get": self._institutions_get,
            "/institutions/get_by_id": self._institutions_get_by_id,
            "/institutions/search": self._institutions_search,
            "/accounts/get": self._accounts_get,
            "/accounts/balance/get": self._accounts_get,
            "/transactions/sync": self._transactions_sync,
            "/transactions/refresh": self._transactions_refresh,
            "/sandbox/public_token/create": self._sandbox_public_token_create,
            "/sandbox/item/reset_login": self._sandbox_reset_login,
            "/sandbox/transactions/create": self._sandbox_transactions_create,
        }

    def answer(self, path: str, body: Any, *, header_credentials: tuple[str, str], origin: str) -> dict[str, Any]:
        """Return the answer to a POST of `body` to `path`; `origin` is the simulator's own address.

        Raises:
            Problem: the request is answered with an error.
        """
        endpoint = self._routes.get(path)
        if endpoint is None:
            raise Problem("NOT_FOUND", "the requested resource does not exist")
        try:
            request = Record(body)
            self._authenticate(request, header_credentials)
            fault = self._store.take_fault(path)
            if fault is not None:
                raise Problem(fault)
            return endpoint(request, origin)
        except Malformed as error:
            raise Problem("INVALID_FIELD", f"missing or invalid: {error}") from error

    def _authenticate(self, request: Record, header_credentials: tuple[str, str]) -> None:
        in_body = (request.text_or_none("client_id") or "", request.text_or_none("secret") or "")
        given = header_credentials if any(header_credentials) else in_body
        same = [
            hmac.compare_digest(ours.encode(), theirs.encode())
            for ours, theirs in zip(self._credentials, given, strict=True)
        ]
        if not all(same):
            raise Problem("INVALID_API_KEYS", "invalid client_id or secret provided")

    def _open_item(self, request: Record) -> Item:
        """Return the item of the access token, lived up to today, if the bank lets us in."""
        item = self._store.item_of_token(request.text("access_token"))
        if item.login_required:
            raise Problem("ITEM_LOGIN_REQUIRED", "the login details of this item have changed")
        self._store.catch_up_item(item, self._today())
        return item

    def _link_token_create(self, request: Record, origin: str) -> dict[str, Any]:
        request.record("user").text("client_user_id")
        access_token = request.text_or_none("access_token")
        products = request.texts_if_any("products")
        if access_token is None and not products:
            raise Problem("MISSING_FIELDS", "products is required")
        hosted = request.record_or_none("hosted_link")
        redirect_uri = None if hosted is None else hosted.text_or_none("completion_redirect_uri")
        if redirect_uri is not None and urlsplit(redirect_uri).scheme not in {"http", "https"}:
            raise Problem("INVALID_FIELD", "completion_redirect_uri must be an absolute web address")
        highlighted = request.record_or_none("institution_data")
        asked = LinkRequest(
            client_name=request.text("client_name"),
            language=request.text("language"),
            country_codes=request.texts("country_codes"),
            products=products,
            webhook=request.text_or_none("webhook"),
            completion_redirect_uri=redirect_uri,
            history_days=_history_days(request.record_or_none("transactions"), DEFAULT_HISTORY_DAYS),
            renews_item_id=None if access_token is None else self._store.item_of_token(access_token).item_id,
            routing_number=None if highlighted is None else highlighted.text_or_none("routing_number"),
        )
        lasts = LINK_TOKEN_LASTS if hosted is None else HOSTED_LINK_LASTS
        session = self._store.create_link_token(asked, at=self._now(), lasts=lasts)
        created = {"link_token": session.token, "expiration": answers.moment(session.expires_at)}
        return created if hosted is None else created | {"hosted_link_url": f"{origin}/link/{session.token}"}

    def _link_token_get(self, request: Record, _: str) -> dict[str, Any]:
        session = self._store.link_session(request.text("link_token"))
        if session.public_token is None:
            return answers.link_session(session, None)
        item = self._store.item_of_public_token(session.public_token)
        return answers.link_session(session, (item.institution, self._store.accounts(item.item_id)))

    def _public_token_exchange(self, request: Record, _: str) -> dict[str, Any]:
        item_id, access_token = self._store.exchange(request.text("public_token"), at=self._now())
        return {"item_id": item_id, "access_token": access_token}

    def _item_get(self, request: Record, _: str) -> dict[str, Any]:
        return {"item": answers.item(self._store.item_of_token(request.text("access_token")))}

    def _item_remove(self, request: Record, _: str) -> dict[str, Any]:
        self._store.remove_item(self._store.item_of_token(request.text("access_token")).item_id)
        return {}

    def _institutions_get(self, request: Record, _: str) -> dict[str, Any]:
        options = request.record_or_none("options")
        found = _offering(
            [] if options is None else options.texts_if_any("products"), institutions_in(request.texts("country_codes"))
        )
        count, offset = request.count("count"), request.count("offset")
        page = found[offset : offset + count]
        return {"institutions": [answers.institution(plan) for plan in page], "total": len(found)}

    def _institutions_search(self, request: Record, _: str) -> dict[str, Any]:
        words = request.text("query").casefold().split()
        if not words:
            raise Problem("INVALID_FIELD", "query must not be empty")
        found = [
            plan
            for plan in _offering(request.texts_if_any("products"), institutions_in(request.texts("country_codes")))
            if all(word in plan.name.casefold() for word in words)
        ]
        return {"institutions": [answers.institution(plan) for plan in found[:MOST_FOUND]]}

    def _institutions_get_by_id(self, request: Record, _: str) -> dict[str, Any]:
        wanted = request.text("institution_id")
        for plan in institutions_in(request.texts("country_codes")):
            if plan.institution_id == wanted:
                return {"institution": answers.institution(plan)}
        raise Problem("INVALID_INSTITUTION", "invalid institution_id provided")

    def _accounts_get(self, request: Record, _: str) -> dict[str, Any]:
        _refuse_options(request)
        item = self._open_item(request)
        accounts = [answers.account(found) for found in self._store.accounts(item.item_id)]
        return {"accounts": accounts, "item": answers.item(item)}

    def _transactions_sync(self, request: Record, _: str) -> dict[str, Any]:
        _refuse_options(request)
        count = request.count_or_none("count") or DEFAULT_SYNC_COUNT
        if not 1 <= count <= MOST_SYNC_COUNT:
            raise Problem("INVALID_FIELD", f"count must be between 1 and {MOST_SYNC_COUNT}")
        item = self._open_item(request)
        changes = self._store.changes(item.item_id, request.text_or_none("cursor") or "", count)
        return {
            "added": [answers.transaction(found) for found in changes.added],
            "modified": [answers.transaction(found) for found in changes.modified],
            "removed": [
                {"transaction_id": transaction_id, "account_id": account_id}
                for transaction_id, account_id in changes.removed
            ],
            "accounts": [answers.account(found) for found in self._store.accounts(item.item_id)],
            "next_cursor": changes.next_cursor,
            "has_more": changes.has_more,
            "transactions_update_status": "HISTORICAL_UPDATE_COMPLETE",
        }

    def _transactions_refresh(self, request: Record, _: str) -> dict[str, Any]:
        self._open_item(request)
        return {}

    def _sandbox_public_token_create(self, request: Record, _: str) -> dict[str, Any]:
        options = request.record_or_none("options")
        history = None if options is None else options.record_or_none("transactions")
        item_id = self._store.link(
            request.text("institution_id"),
            today=self._today(),
            webhook=None if options is None else options.text_or_none("webhook"),
            history_days=_history_days(history, HISTORY_DAYS),
        )
        return {"public_token": self._store.create_public_token(item_id, at=self._now())}

    def _sandbox_reset_login(self, request: Record, _: str) -> dict[str, Any]:
        self._store.set_login_required(self._store.item_of_token(request.text("access_token")).item_id, True)
        return {"reset_login": True}

    def _sandbox_transactions_create(self, request: Record, _: str) -> dict[str, Any]:
        item = self._open_item(request)
        asked = request.records("transactions")
        if len(asked) > MOST_SANDBOX_TRANSACTIONS:
            raise Problem("INVALID_FIELD", f"at most {MOST_SANDBOX_TRANSACTIONS} transactions at a time")
        accounts = self._store.accounts(item.item_id)
        target = next((found for found in accounts if found.plan.type == "depository"), None)
        if target is None:
            raise Problem("INVALID_FIELD", "the item has no depository account")
        for each in asked:
            posted_on, amount = each.day("date_posted"), each.amount("amount")
            if not self._today() - SANDBOX_TRANSACTION_REACH <= posted_on <= self._today():
                raise Problem("INVALID_FIELD", "date_posted must lie within the last 14 days")
            try:
                cents_of(amount)
            except ValueError as error:
                raise Problem("INVALID_FIELD", "amount has a fraction of a cent") from error
            self._store.add_transaction(target.account_id, amount, posted_on, each.text("description"))
        return {}


def institutions_in(country_codes: list[str]) -> list[InstitutionPlan]:
    """Return the banks of any of these countries."""
    return [plan for plan in INSTITUTIONS.values() if set(plan.country_codes) & set(country_codes)]


def _offering(products: list[str], plans: list[InstitutionPlan]) -> list[InstitutionPlan]:
    """Return the banks that offer all of the products; each of them tells transactions, and nothing else."""
    return plans if set(products) <= {"transactions"} else []


def _history_days(options: Record | None, usual: int) -> int:
    days = usual if options is None else options.count_or_none("days_requested") or usual
    if not 1 <= days <= HISTORY_DAYS:
        raise Problem("INVALID_FIELD", f"days_requested must be between 1 and {HISTORY_DAYS}")
    return days


def _refuse_options(request: Record) -> None:
    """Refuse what isn't simulated rather than ignore it."""
    if request.record_or_none("options") is not None:
        raise Problem("INVALID_FIELD", "the simulator knows no options here")

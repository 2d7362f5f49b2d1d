"""The shapes of Plaid's answers. Numbers are written exactly: money never passes through a float."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from services.integration.sandbox.entries import Account, Transaction
from services.integration.sandbox.institutions import InstitutionPlan
from services.integration.sandbox.links import Item, LinkSession
from services.integration.sandbox.problems import Problem

NO_LOCATION = dict.fromkeys(("address", "city", "region", "postal_code", "country", "lat", "lon", "store_number"))
NO_PAYMENT_META = dict.fromkeys(
    ("reference_number", "ppd_id", "payee", "by_order_of", "payer", "payment_method", "payment_processor", "reason")
)


def exact_json(value: Any) -> str:
    """Return `value` as JSON with every `Decimal` digit for digit; the standard encoder knows no `Decimal`."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{exact_json(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value)


def moment(at: dt.datetime) -> str:
    """Return a moment as Plaid writes it."""
    return at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def account(found: Account) -> dict[str, Any]:
    """Return an account as in `/accounts/get`."""
    plan = found.plan
    return {
        "account_id": found.account_id,
        "balances": {
            "available": found.available,
            "current": found.current,
            "limit": None if plan.limit_cents is None else Decimal(plan.limit_cents).scaleb(-2),
            "iso_currency_code": plan.currency,
            "unofficial_currency_code": None,
        },
        "mask": plan.mask,
        "name": plan.name,
        "official_name": plan.official_name,
        "type": plan.type,
        "subtype": plan.subtype,
        "holder_category": "personal",
    }


def transaction(found: Transaction) -> dict[str, Any]:
    """Return a transaction as in `/transactions/sync`."""
    primary, detailed = found.category
    return {
        "transaction_id": found.transaction_id,
        "account_id": found.account_id,
        "amount": found.amount,
        "iso_currency_code": found.currency,
        "unofficial_currency_code": None,
        "date": found.booked_on.isoformat(),
        "datetime": None,
        "authorized_date": found.authorised_on.isoformat(),
        "authorized_datetime": None,
        "name": found.description,
        "merchant_name": found.merchant,
        "pending": found.pending,
        "pending_transaction_id": found.pending_id,
        "personal_finance_category": {"primary": primary, "detailed": detailed, "confidence_level": "HIGH"},
        "payment_channel": "in store" if found.by_card else "other",
        "transaction_code": None,
        "account_owner": None,
        "location": NO_LOCATION,
        "payment_meta": NO_PAYMENT_META,
    }


def institution(plan: InstitutionPlan) -> dict[str, Any]:
    """Return a bank as in `/institutions/get`."""
    return {
        "institution_id": plan.institution_id,
        "name": plan.name,
        "products": ["transactions"],
        "country_codes": list(plan.country_codes),
        "routing_numbers": [plan.routing_number],
        "oauth": False,
    }


def item(found: Item) -> dict[str, Any]:
    """Return an item as in `/item/get`, with its error while the bank waits for a sign-in."""
    problem = Problem("ITEM_LOGIN_REQUIRED").body("") if found.login_required else None
    return {
        "item_id": found.item_id,
        "institution_id": found.institution.institution_id,
        "institution_name": found.institution.name,
        "webhook": found.webhook or "",
        "error": problem,
        "available_products": ["balance"],
        "billed_products": ["transactions"],
        "products": ["transactions"],
        "consent_expiration_time": None,
        "update_type": "background",
    }


def link_session(session: LinkSession, linked: tuple[InstitutionPlan, list[Account]] | None) -> dict[str, Any]:
    """Return a link token's state as in `/link/token/get`; `linked` is what an approval produced."""
    return {
        "link_token": session.token,
        "created_at": moment(session.created_at),
        "expiration": moment(session.expires_at),
        "link_sessions": [] if session.started_at is None else [_started_session(session, linked)],
        "metadata": {
            "initial_products": list(session.request.products),
            "webhook": session.request.webhook,
            "country_codes": list(session.request.country_codes),
            "language": session.request.language,
            "redirect_uri": None,
            "client_name": session.request.client_name,
        },
    }


def _started_session(session: LinkSession, linked: tuple[InstitutionPlan, list[Account]] | None) -> dict[str, Any]:
    started: dict[str, Any] = {"link_session_id": session.session_id, "events": []}
    if session.started_at is not None:
        started["started_at"] = moment(session.started_at)
    started["finished_at"] = None if session.finished_at is None else moment(session.finished_at)
    if session.finished_at is not None:
        started["results"] = {
            "item_add_results": [] if linked is None else [_item_added(session, *linked)],
            "cra_item_add_results": [],
            "cra_update_results": [],
            "bank_income_results": [],
            "payroll_income_results": [],
            "document_income_results": None,
        }
    return started


def _item_added(session: LinkSession, plan: InstitutionPlan, accounts: list[Account]) -> dict[str, Any]:
    return {
        "public_token": session.public_token,
        "institution": {"institution_id": plan.institution_id, "name": plan.name},
        "accounts": [
            {
                "id": found.account_id,
                "name": found.plan.name,
                "mask": found.plan.mask,
                "type": found.plan.type,
                "subtype": found.plan.subtype,
            }
            for found in accounts
        ],
    }

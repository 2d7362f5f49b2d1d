"""For the API's guards: requests about keys and the audit trail that succeed, and how their lists get rows."""

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from fatfire.kit.pagination import paginate
from services.accounts import operations, queries
from tenants import audit
from tenants.models import Membership
from tenants.permissions import Role
from tests.api.document import Request
from tests.factories import AT

_minutes = itertools.count(1)


def _make_key() -> operations.NewApiKey:
    """Make a key of the tenant's first member, each younger than the last."""
    membership = Membership.objects.order_by("created_at", "id")[0]
    at = AT + dt.timedelta(minutes=next(_minutes))
    return operations.create_api_key(membership_id=membership.id, name="Another", role=Role.VIEWER, at=at)


def _record_event() -> None:
    """Record an event, each older than the last."""
    at = AT - dt.timedelta(minutes=next(_minutes))
    audit.record(action="rename", subject="asset", subject_id=None, at=at, name="Car")


REQUESTS: dict[str, Callable[[], Request]] = {
    "list_api_keys": Request,
    "create_api_key": lambda: Request(body={"name": "Spreadsheet", "role": "viewer", "days": 30}),
    "revoke_api_key": lambda: Request(path={"api_key_id": _make_key().id}),
    "list_audit_events": Request,
}


def _beyond(rows: QuerySet[Any], order: tuple[str, ...], add: Callable[[], object]) -> Request:
    """Return a request for what `add` adds from now on: whoever asks has a key, and its making is an event."""
    with transaction.atomic():
        present = rows.count()
        add()
        cursor = paginate(rows, order=order, cursor=None, limit=present).next_cursor
        transaction.set_rollback(True)
    return Request(query={"cursor": cursor})


LISTS: dict[str, Callable[[], tuple[Request, Callable[[], object]]]] = {
    "list_api_keys": lambda: (_beyond(queries.list_api_keys(), ("created_at", "id"), _make_key), _make_key),
    "list_audit_events": lambda: (_beyond(queries.list_audit_events(), ("-at", "-id"), _record_event), _record_event),
}

"""Telling browsers that something changed, so that they ask for it at once instead of a little later.

A nudge holds ids only, and one that is lost does no harm: the page asks by itself, too.
"""

import datetime as dt
import hashlib
import json
import math
import secrets
import time
from collections.abc import Mapping
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from fatfire.kit import aws
from services.messaging.models import Listener
from services.messaging.queries import listening
from tenants.isolation import TenantNotSet, current_tenant_id, shared, tenant
from tenants.models import User

logger = structlog.get_logger(__name__)
_failed: dict[str, float] = {}

TICKET_FOR = dt.timedelta(seconds=30)
CONNECTED_FOR = dt.timedelta(hours=2)
"""How long API Gateway keeps a connection open at most. Source: API Gateway quotas for WebSocket APIs."""
CONNECTING_FOR = dt.timedelta(seconds=29)
"""How long API Gateway waits for `$connect`, and calls the connection gone. Source: its quotas, integration timeout."""
PATIENCE_S = 2
"""How long a nudge may take: what it is about is done already, and the worker has other things to do."""
QUIET_S = 30.0
"""For how long an endpoint that failed is left alone."""


class TicketRefused(Exception):
    """The ticket was used before, is too old, or never was one."""


def issue_ticket(*, user_id: UUID, session_id: str, at: dt.datetime) -> str:
    """Return a ticket for one connection of a page of the open tenant, to be used within half a minute.

    It goes into a URL, which may be logged: hence once, and soon.
    """
    tenant_id, secret = current_tenant_id(), secrets.token_urlsafe(32)
    if tenant_id is None:
        msg = "a page belongs to a tenant"
        raise TenantNotSet(msg)
    Listener.objects.create(
        user_id=user_id,
        session_id=session_id,
        session_epoch=User.objects.values_list("session_epoch", flat=True).get(id=user_id),
        digest=_digest(secret),
        expires_at=at + TICKET_FOR,
    )
    return f"{tenant_id.hex}.{secret}"


def connect(*, ticket: str, connection_id: str, at: dt.datetime) -> None:
    """Let the ticket's page listen by this connection. Opens a block of its own.

    Raises:
        TicketRefused: it can't.
    """
    tenant_hex, _, secret = ticket.partition(".")
    try:
        tenant_id = UUID(hex=tenant_hex)
    except ValueError:
        raise TicketRefused from None
    with tenant(tenant_id):  # of a tenant that doesn't exist there are no rows either
        ticket_of = Listener.objects.filter(digest=_digest(secret), expires_at__gt=at)
        if not ticket_of.update(digest=None, connection_id=connection_id, expires_at=at + CONNECTED_FOR):
            raise TicketRefused


def disconnect(*, connection_id: str) -> None:
    """Forget the connection, whose tenant nobody tells. Opens a block of its own. Repeatable."""
    with shared(), connection.cursor() as cursor:
        cursor.execute("SELECT lookup.forget_listener(%s)", [connection_id])


def nudge(*, tenant_id: UUID, message: Mapping[str, str], at: dt.datetime) -> int:
    """Tell each page of the tenant that listens; return how many were told. Opens blocks of its own.

    Where the pages can't be reached the log says so, and nothing is raised: they ask by themselves.
    """
    endpoint = settings.WEBSOCKET_ENDPOINT
    if not endpoint or time.monotonic() < _failed.get(endpoint, -math.inf) + QUIET_S:
        return 0
    with tenant(tenant_id):
        connections = listening(at=at)
    if not connections:
        return 0
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # see kit.aws

    said, gone, told = json.dumps(message).encode(), [], 0
    try:
        client = aws.client("apigatewaymanagementapi", endpoint=endpoint, patience_s=PATIENCE_S)
        for each in connections:
            try:
                client.post_to_connection(ConnectionId=each, Data=said)
                told += 1
            except client.exceptions.GoneException:
                gone.append(each)
    except (BotoCoreError, ClientError) as error:  # the next would wait as long for nothing
        logger.warning("not_nudged", reason=type(error).__name__)
        _failed[endpoint] = time.monotonic()
    if gone:
        with tenant(tenant_id):  # but not who is only about to come
            connected = at + CONNECTED_FOR - CONNECTING_FOR
            Listener.objects.filter(connection_id__in=gone, expires_at__lt=connected).delete()
    return told


def delete_listeners(*, before: dt.datetime, limit: int) -> int:
    """Delete up to `limit` tickets and connections that had expired by then; return how many. In `operator()`."""
    expired = Listener.objects.filter(expires_at__lt=before).order_by("expires_at")
    return Listener.objects.filter(pk__in=expired.values("pk")[:limit]).delete()[0]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

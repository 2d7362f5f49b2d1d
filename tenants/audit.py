"""The audit trail: one row per thing a person or a job did, written in the same transaction as the thing."""

import datetime as dt
from typing import Any
from uuid import UUID

from tenants.isolation import current_actor_id, current_tenant_id
from tenants.models import AuditEvent


def record(
    *,
    action: str,
    subject: str,
    subject_id: UUID | None,
    at: dt.datetime,
    tenant_id: UUID | None = None,
    **details: Any,
) -> None:
    """Add an event of the open tenant (of `tenant_id`, in an `operator()` block) by the current actor.

    `details` are plain JSON values, never secrets.
    """
    AuditEvent.objects.create(
        tenant_id=tenant_id or current_tenant_id(),
        actor_id=current_actor_id(),
        action=action,
        subject=subject,
        subject_id=subject_id,
        details=details,
        at=at,
    )

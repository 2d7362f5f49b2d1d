"""Reading who listens, in the open scope."""

import datetime as dt

from django.contrib.sessions.models import Session
from django.db.models import Exists, F, OuterRef

from services.messaging.models import Listener
from tenants.models import Membership

MOST_LISTENERS = 50
"""A household's open pages; the newest of more."""


def listening(*, at: dt.datetime) -> list[str]:
    """Return the connections that may be told of the tenant: of members who are signed in. Newest first."""
    session = Session.objects.filter(session_key=OuterRef("session_id"), expire_date__gt=at)
    member = Membership.objects.filter(user_id=OuterRef("user_id"))
    listeners = Listener.objects.filter(
        Exists(member),
        Exists(session),
        connection_id__isnull=False,
        expires_at__gt=at,
        user__session_epoch=F("session_epoch"),
    )
    newest = listeners.order_by("-expires_at").values_list("connection_id", flat=True)
    return [str(each) for each in newest[:MOST_LISTENERS]]

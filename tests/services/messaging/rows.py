"""A valid row of each of the service's models, for the tenancy guard."""

import itertools

from services.messaging.models import Listener
from tenants.models import Membership
from tests.factories import AT

_numbers = itertools.count(1)


def _listener():
    return Listener.objects.create(
        user_id=Membership.objects.values_list("user_id", flat=True)[0],
        session_id="s",
        session_epoch=0,
        connection_id=f"c{next(_numbers)}",
        expires_at=AT,
    )


ROWS = {"messaging.Listener": _listener}

"""How a page gets to listen: a ticket for a connection that tells it what changed."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from fatfire.kit.clock import now
from fatfire.web.access import page, session_id_of
from services.accounts.queries import principal_of
from services.messaging.operations import issue_ticket
from tenants.permissions import Role, requires


@require_POST
@page
@requires(Role.VIEWER)
def listen(request: HttpRequest) -> HttpResponse:
    """Give the address of one connection, good for half a minute; nothing where there is no WebSocket."""
    if not settings.WEBSOCKET_URL:
        raise Http404
    person = principal_of(request).user_id
    ticket = issue_ticket(user_id=person, session_id=session_id_of(request), at=now())
    return JsonResponse({"url": f"{settings.WEBSOCKET_URL}?{urlencode({'ticket': ticket})}"})

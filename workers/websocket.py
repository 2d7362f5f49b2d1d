"""What API Gateway's WebSocket API (or, on a laptop, its stand-in) asks: who may listen, and who has gone."""

from collections.abc import Mapping
from typing import Any

from fatfire.kit import clock
from services.messaging.operations import TicketRefused, connect, disconnect


def receive(event: Mapping[str, Any]) -> dict[str, int]:
    """Answer one event of a connection: its beginning (by a ticket, once), its end; what it says is not listened to."""
    request = event["requestContext"]
    connection_id: str = request["connectionId"]
    if request["eventType"] == "DISCONNECT":
        disconnect(connection_id=connection_id)
    if request["eventType"] == "CONNECT":
        ticket = (event.get("queryStringParameters") or {}).get("ticket", "")
        try:
            connect(ticket=ticket, connection_id=connection_id, at=clock.now())
        except TicketRefused:
            return {"statusCode": 403}
    return {"statusCode": 200}

"""Telling people: by mail, and browsers that listen."""

from services.messaging.operations.listeners import (
    TicketRefused,
    connect,
    delete_listeners,
    disconnect,
    issue_ticket,
    nudge,
)
from services.messaging.operations.mail import MailNotTaken, MailRefused, send_mail

__all__ = [
    "MailNotTaken",
    "MailRefused",
    "TicketRefused",
    "connect",
    "delete_listeners",
    "disconnect",
    "issue_ticket",
    "nudge",
    "send_mail",
]

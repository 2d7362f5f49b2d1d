"""Browsers that listen for news."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.models import TenantModel, User


class Listener(TenantModel):
    """A page that wants to be told when something changed: first a ticket, then the connection that it bought.

    It is told as long as its session and the person's membership last, and nothing but ids.
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    # No foreign key: sessions are ended outside of any tenant, where this table is empty.
    session_id = models.CharField(max_length=40)
    session_epoch = models.PositiveIntegerField()  # the person's, when the page was made
    digest = models.BinaryField(max_length=32, null=True)  # SHA-256 of the ticket, which is 256 random bits
    connection_id = models.CharField(max_length=128, null=True)  # noqa: DJ001  # unique, and a ticket has none
    expires_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.CheckConstraint(
                condition=Q(digest__isnull=True) ^ Q(connection_id__isnull=True), name="messaging_ticket_or_connection"
            ),
            models.UniqueConstraint(fields=["tenant", "digest"], name="messaging_ticket_once"),
            # Found without its tenant when the connection ends, hence unique across tenants.
            models.UniqueConstraint(fields=["connection_id"], name="messaging_connection_once"),
        ]
        indexes: ClassVar = [
            # Who is to be told, newest first.
            models.Index(
                fields=["tenant", "-expires_at"],
                condition=Q(connection_id__isnull=False),
                name="messaging_listening",
            ),
            # What is to be deleted, across tenants.
            models.Index(fields=["expires_at"], name="messaging_expired"),
        ]

    def __str__(self) -> str:
        return f"{'connection' if self.connection_id else 'ticket'} until {self.expires_at}"

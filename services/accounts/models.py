"""How a program gets in: API keys. How a person does: links."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from fatfire.kit import clock
from tenants.models import Membership, SameTenant, TenantForeignKey, TenantModel, User
from tenants.permissions import Role


class ApiKey(TenantModel):
    """A key that acts for a membership, with at most the role that was chosen for it. Only a hash of it is kept."""

    membership = TenantForeignKey(Membership)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=Role.choices)
    prefix = models.CharField(max_length=16)  # the visible start, to recognise it by
    digest = models.BinaryField(max_length=32)  # SHA-256; the key itself is 256 random bits, so no slow hash is needed
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    counted_minute = models.DateTimeField(null=True)  # when it began
    counted_requests = models.PositiveIntegerField(default=0, db_default=0)  # answered within it
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            SameTenant("membership"),
            # Found before the tenant is known, hence unique across tenants.
            models.UniqueConstraint(fields=["digest"], name="accounts_apikey_digest_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_apikey_role_known"),
        ]
        indexes: ClassVar = [
            # A tenant's keys, oldest first.
            models.Index(fields=["tenant", "created_at", "id"], name="accounts_apikey_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"


LOCAL_PATH = r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$"
"""A path of this site: what follows the first slash is no second one, and there is no backslash, space or control
character, which browsers read as slashes or leave out."""


class SignInRequest(models.Model):
    """Someone asked for a link to this address, whether it is anybody's or not; a job sends it. Kept for a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.CharField(max_length=254)  # as PostgreSQL's lower() writes it
    network = models.CharField(max_length=43)  # of who asked: an IPv4 address, or the /64 of an IPv6 one
    next_path = models.CharField(max_length=500, default="/")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(next_path__regex=LOCAL_PATH), name="accounts_signinrequest_next_path_is_local"
            ),
        ]
        indexes: ClassVar = [
            # How often an address was asked for lately, and how often a network asked (lookup.request_sign_in).
            models.Index(fields=["email", "created_at"], name="accounts_request_of_address"),
            models.Index(fields=["network", "created_at"], name="accounts_request_of_network"),
        ]

    def __str__(self) -> str:
        return f"sign-in asked for at {self.created_at}"


class SignInToken(models.Model):
    """A link that signs a person in: once, for ten minutes. Only a hash of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    # What it answers, with one valid link at a time; none: whoever runs the platform made it.
    request = models.OneToOneField(SignInRequest, on_delete=models.CASCADE, related_name="+", null=True)
    digest = models.BinaryField(max_length=32)  # SHA-256; the secret is 256 random bits, so no slow hash is needed
    next_path = models.CharField(max_length=500, default="/")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["digest"], name="accounts_signintoken_digest_once"),
            models.CheckConstraint(
                condition=Q(next_path__regex=LOCAL_PATH), name="accounts_signintoken_next_path_is_local"
            ),
        ]
        indexes: ClassVar = [
            # A person's links, to use them up together.
            models.Index(fields=["user", "created_at"], name="accounts_signintoken_of_user"),
        ]

    def __str__(self) -> str:
        return f"sign-in of {self.user_id} at {self.created_at}"


class SignedInBrowser(models.Model):
    """Beside a session that someone is signed in by: whose it is. The session's own data can't be searched.

    It goes with its session.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField("sessions.Session", on_delete=models.DB_CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.DB_CASCADE, related_name="+", db_index=False)
    browser = models.CharField(max_length=60)  # in words: "Firefox on Windows"
    began_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            # A person's browsers, newest first.
            models.Index(fields=["user", "-began_at"], name="accounts_browser_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.browser} of {self.user_id}"

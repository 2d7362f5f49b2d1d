"""Tenants, the people in them, and the base of every row that belongs to a tenant."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac

from fatfire.kit import clock
from fatfire.kit.locales import DEFAULT_LOCALE
from tenants.constraints import MembersOnly, SameTenant, TenantIsolation
from tenants.isolation import current_tenant_id
from tenants.permissions import Role


class Tenant(models.Model):
    """A household (or firm) whose wealth is kept apart from everyone else's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    home_currency = models.CharField(max_length=3)
    time_zone = models.CharField(max_length=64)
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            TenantIsolation(column="id", privileges="SELECT, UPDATE"),
            models.CheckConstraint(
                condition=models.Q(home_currency__regex="^[A-Z]{3}$"), name="tenants_currency_is_a_code"
            ),
            models.CheckConstraint(condition=models.Q(country__regex="^[A-Z]{2}$"), name="tenants_country_is_a_code"),
        ]

    def __str__(self) -> str:
        return self.slug


class User(AbstractBaseUser):
    """A person who signs in. There is no password: no column, no form, no URL."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    password = None  # type: ignore[assignment]  # removes Django's column
    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120, blank=True)
    is_operator = models.BooleanField(default=False)
    locale = models.CharField(max_length=16, default=DEFAULT_LOCALE, db_default=DEFAULT_LOCALE)  # a BCP 47 tag
    session_epoch = models.PositiveIntegerField(default=0, db_default=0)  # raised to sign out everywhere
    created_at = models.DateTimeField(default=clock.now, editable=False)

    USERNAME_FIELD = "email"

    class Meta:
        constraints: ClassVar = [
            MembersOnly(name="tenants_user_isolation"),
            models.UniqueConstraint(Lower("email"), name="tenants_one_user_per_email"),
            # Which ones can be chosen is LOCALES' to say, and may grow.
            models.CheckConstraint(
                condition=models.Q(locale__regex="^[a-z]{2,3}-[A-Z]{2}$"), name="tenants_locale_is_a_tag"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_staff(self) -> bool:
        """Return `is_operator`, by the name that Django's admin knows."""
        return self.is_operator

    def has_usable_password(self) -> bool:
        """Return False: nobody has a password."""
        return False

    def get_session_auth_hash(self) -> str:
        """Return what a session of this person must carry; it changes with `session_epoch`, not with a password."""
        return salted_hmac("tenants.User.session", f"{self.id}:{self.session_epoch}", algorithm="sha256").hexdigest()


class TenantModel(models.Model):
    """A row of one tenant. A subclass's Meta inherits from TenantModel.Meta and extends its constraints.

    The tenant is set by the open `tenant()` block and nowhere else. A foreign key to another TenantModel is a
    TenantForeignKey with a SameTenant constraint (both checked by `manage.py check`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", editable=False, default=current_tenant_id, db_index=False
    )

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            TenantIsolation(),
            # What composite foreign keys point at.
            models.UniqueConstraint(fields=["tenant", "id"], name="%(app_label)s_%(class)s_tenant_id"),
        ]


def platform_tenant_key() -> Any:
    """Return the field `tenant` for a model whose rows may be the platform's: NULL then, and no tenant sees them."""
    return models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        default=current_tenant_id,
        db_index=False,
        null=True,
    )


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key within the tenant; the SameTenant beside it is its constraint, so Django makes none of its own.

    It has no index either: every index begins with the tenant and is declared with the query that it serves.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs = {"related_name": "+", "db_constraint": False, "db_index": False, **kwargs}
        super().__init__(to, on_delete, **kwargs)

    def deconstruct(self) -> Any:
        """Write our defaults into migrations, where Django would leave out what equals its own."""
        name, path, arguments, keywords = super().deconstruct()
        ours = {"db_constraint": self.db_constraint, "db_index": self.db_index}  # type: ignore[attr-defined]
        return name, path, arguments, {**keywords, **ours}


class Membership(TenantModel):
    """A user's role in a tenant."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "user"], name="tenants_membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="tenants_membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.tenant_id}"


class TenantKey(TenantModel):
    """The tenant's data key, wrapped by the master key. Deleting it makes all that it encrypted unreadable."""

    wrapped = models.BinaryField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            TenantIsolation(privileges="SELECT, INSERT"),  # deleting it is for those who delete the tenant
            models.UniqueConstraint(fields=["tenant", "id"], name="tenants_tenantkey_tenant_id"),
            models.UniqueConstraint(fields=["tenant"], name="tenants_one_key_each"),
        ]

    def __str__(self) -> str:
        return f"key of {self.tenant_id}"


class AuditEvent(TenantModel):
    """Who did what, when: for the tenant's owners to read. Rows are only ever added."""

    actor_id = models.UUIDField(null=True)  # a User; None: a job. No key: the event outlives the person
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    subject_id = models.UUIDField(null=True)
    details = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            TenantIsolation(privileges="SELECT, INSERT"),
            models.UniqueConstraint(fields=["tenant", "id"], name="tenants_auditevent_tenant_id"),
        ]
        indexes: ClassVar = [
            # The newest events of a tenant.
            models.Index(fields=["tenant", "-at", "-id"], name="tenants_auditevent_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} {self.subject_id}"


__all__ = [
    "AuditEvent",
    "Membership",
    "SameTenant",
    "Tenant",
    "TenantForeignKey",
    "TenantIsolation",
    "TenantKey",
    "TenantModel",
    "User",
    "platform_tenant_key",
]

"""The console's pages of tenants, people, their memberships and keys."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from services.accounts.models import ApiKey, SignInToken
from tenants.admin import ConsoleAdmin, LongTableAdmin, TenantRowAdmin
from tenants.models import AuditEvent, Membership, Tenant, User


@admin.register(Tenant)
class TenantAdmin(ConsoleAdmin):
    """Households."""

    list_display = ("name", "slug", "country", "home_currency", "time_zone", "created_at")
    search_fields = ("name", "slug")
    ordering = ("name", "id")


@admin.register(User)
class UserAdmin(ConsoleAdmin):
    """People who sign in."""

    list_display = ("email", "name", "is_operator", "created_at")
    list_filter = ("is_operator",)
    search_fields = ("email", "name")
    ordering = ("email", "id")


@admin.register(Membership)
class MembershipAdmin(TenantRowAdmin):
    """Who is in which household, with which role."""

    list_display = ("user", "role", "created_at")
    list_filter = (("role", ChoicesDropdownFilter),)
    list_select_related = ("tenant", "user")
    search_fields = ("user__email",)
    ordering = ("tenant", "user", "id")


@admin.register(ApiKey)
class ApiKeyAdmin(TenantRowAdmin):
    """Keys of programs: what they are called and until when they work."""

    list_display = ("name", "prefix", "role", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("role", ChoicesDropdownFilter),)
    search_fields = ("name", "prefix")
    ordering = ("-created_at", "-id")


@admin.register(SignInToken)
class SignInTokenAdmin(ConsoleAdmin):
    """Sign-in links: whose, and when they were asked for and used."""

    list_display = ("user", "created_at", "expires_at", "used_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-created_at", "-id")


@admin.register(AuditEvent)
class AuditEventAdmin(LongTableAdmin):
    """What was done in the tenants, as their owners read it."""

    list_display = ("at", "action", "subject", "subject_id", "actor_id")
    search_fields = ("action", "subject")
    ordering = ("-at", "-id")

"""The console's pages of households, people, memberships, keys and what was done."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from fatfire.kit.clock import now, require_time_zone
from fatfire.kit.errors import DomainError, InvalidInput
from services.accounts import operators
from services.accounts.models import ApiKey, SignInToken
from tenants.admin import ConsoleAdmin, LongTableAdmin, TenantRowAdmin, ask_first
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.permissions import Role

ROLE_COLOURS = {Role.OWNER: "primary", Role.ADMIN: "warning", Role.MEMBER: "info", Role.VIEWER: "default"}


class ChangeableAdmin(ConsoleAdmin):
    """Rows that operators may change, through the operations; a refusal is shown above the unchanged form."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether an operator asks."""
        return self.has_view_permission(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kw: Any
    ) -> HttpResponse:
        """Show the form, or what forbids the change."""
        try:
            response: HttpResponse = super().changeform_view(request, object_id, *args, **kw)
        except DomainError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(request.get_full_path())
        return response


class TenantForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """What may be changed of a household."""

    def clean_time_zone(self) -> str:
        """Return the time zone, which must exist."""
        try:
            return require_time_zone(self.cleaned_data["time_zone"])
        except InvalidInput as error:
            raise forms.ValidationError(error.detail) from error


@admin.register(Tenant)
class TenantAdmin(ChangeableAdmin):
    """Households."""

    list_display = ("name", "slug", "country", "home_currency", "time_zone", "created_at")
    list_filter = ("country",)
    search_fields = ("name", "slug")
    ordering = ("name", "id")
    form = TenantForm
    fields = ("name", "country", "time_zone", "slug", "home_currency", "id", "created_at")
    readonly_fields = ("slug", "home_currency", "id", "created_at")

    def save_model(self, request: HttpRequest, obj: Tenant, form: "forms.ModelForm[Tenant]", change: bool) -> None:
        """Change the household."""
        operators.change_tenant(tenant_id=obj.id, name=obj.name, country=obj.country, time_zone=obj.time_zone, at=now())


@admin.register(User)
class UserAdmin(ChangeableAdmin):
    """People who sign in, by links sent to their address: there is no password to set or to reset."""

    list_display = ("email", "name", "is_operator", "created_at")
    list_filter = (("is_operator", BooleanRadioFilter),)
    search_fields = ("email", "name")
    ordering = ("email", "id")
    fields = ("email", "name", "is_operator", "id", "created_at")
    add_fieldsets = ((None, {"fields": ("email", "name")}),)
    readonly_fields = ("id", "created_at")
    actions_detail = ("sign_out_everywhere",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether an operator asks."""
        return self.has_view_permission(request)

    def save_model(self, request: HttpRequest, obj: User, form: "forms.ModelForm[User]", change: bool) -> None:
        """Make or change the person."""
        if change:
            operators.change_user(user_id=obj.id, email=obj.email, name=obj.name, is_operator=obj.is_operator)
        else:
            obj.id = operators.create_user(email=obj.email, name=obj.name, at=now()).id

    @action(description="Sign out everywhere", icon="logout")
    def sign_out_everywhere(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End the person's sessions, after asking."""
        return ask_first(
            self,
            request,
            object_id,
            question="End every session of {row}? They can sign in again by a new link.",
            button="Sign out everywhere",
            do=lambda user: operators.end_sessions(user_id=user.id),
        )


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    """A new member; the household is no field of the model's forms, since the product never moves a row."""

    household = forms.ModelChoiceField(
        queryset=Tenant.objects.all(),
        widget=AutocompleteSelect(
            Membership._meta.get_field("tenant"),
            admin.site,
            attrs={"class": "unfold-admin-autocomplete"},
        ),
    )


@admin.register(Membership)
class MembershipAdmin(TenantRowAdmin, ChangeableAdmin):
    """Who is in which household, with which role."""

    list_display = ("user", "role_label", "created_at")
    list_filter = (("role", ChoicesDropdownFilter),)
    list_select_related = ("tenant", "user")
    search_fields = ("user__email",)
    ordering = ("tenant", "user", "id")
    form = MembershipForm
    fields = ("user", "tenant", "role", "id", "created_at")
    add_fieldsets = ((None, {"fields": ("household", "user", "role")}),)
    readonly_fields = ("tenant", "id", "created_at")
    autocomplete_fields = ("user",)

    @display(description="Role", ordering="role", label=ROLE_COLOURS)
    def role_label(self, membership: Membership) -> tuple[str, str]:
        """Return the role with its colour."""
        return membership.role, membership.get_role_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether an operator asks."""
        return self.has_view_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return what can't be changed: of a membership there is, only the role can."""
        return (*self.readonly_fields, "user") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form of a new member, or that of a role."""
        return super().get_form(
            request, obj, change, **(kwargs if obj is None else {**kwargs, "form": forms.ModelForm})
        )

    def save_model(
        self, request: HttpRequest, obj: Membership, form: "forms.ModelForm[Membership]", change: bool
    ) -> None:
        """Let the person in, or change their role."""
        role = Role(obj.role)
        if change:
            operators.change_role(membership_id=obj.id, role=role, at=now())
        else:
            obj.tenant = form.cleaned_data["household"]
            made = operators.add_member(tenant_id=obj.tenant.id, user_id=obj.user_id, role=role, at=now())
            obj.id = made.id


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
    list_filter = (("created_at", RangeDateTimeFilter),)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-created_at", "-id")
    unshown: ClassVar[tuple[str, ...]] = ("next_path",)


@admin.register(AuditEvent)
class AuditEventAdmin(LongTableAdmin):
    """What was done in the households, as their owners read it."""

    list_display = ("at", "action", "subject", "subject_id", "actor_id")
    list_filter = (("at", RangeDateTimeFilter),)
    ordering = ("-at", "-id")

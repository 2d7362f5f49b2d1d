"""What every page of the operators' console has in common; each service registers its own rows in its admin.py."""

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import BinaryField, Field, Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.paginator import InfinitePaginator

from tenants.models import User


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """Rows that operators may see, and change only where a subclass says so. Nothing is ever deleted here.

    Binary columns hold digests and encrypted tokens: they are never read, let alone shown.
    """

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    list_filter_submit = True
    hidden_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that say nothing to an operator."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether an operator asks."""
        return _is_operator(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether an operator asks."""
        return _is_operator(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: rows are made by the product, not here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: rows are changed by the product, not here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False, always."""
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields that the subclass names, else all but the secret and the hidden ones."""
        return self.fields or [field.name for field in shown_fields(self.model) if field.name not in self.hidden_fields]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows without their secret columns."""
        secret = [field.name for field in self.model._meta.concrete_fields if isinstance(field, BinaryField)]
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer(*secret) if secret else rows


class TenantRowAdmin(ConsoleAdmin):
    """Rows of tenants: each names its tenant, by which they can be filtered."""

    list_select_related: tuple[str, ...] = ("tenant",)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the subclass's columns, and the tenant after the first."""
        first, *others = super().get_list_display(request)
        return (first, "tenant", *others)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return a search for the tenant, and the subclass's filters: a list of all tenants would have no end."""
        return (("tenant", AutocompleteSelectFilter), *super().get_list_filter(request))


class LongTableAdmin(TenantRowAdmin):
    """Rows of tenants of which there are too many to count for each page."""

    paginator = InfinitePaginator


def shown_fields(model: type[Model]) -> "list[Field[Any, Any]]":
    """Return the columns of the model that may be shown: all but the binary ones."""
    return [field for field in model._meta.concrete_fields if not isinstance(field, BinaryField)]


def _is_operator(user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and user.is_operator

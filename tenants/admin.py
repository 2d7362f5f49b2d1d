"""What every page of the operators' console has in common; each service registers its own rows in its admin.py."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import BinaryField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from fatfire.kit.errors import DomainError
from tenants.models import User


class ConsoleAdmin(ModelAdmin):
    """Rows that operators may see, and change only where a subclass says so. Nothing is ever deleted here.

    Binary columns hold digests and encrypted tokens: they are never read, let alone shown.
    """

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    list_select_related: tuple[str, ...] = ()
    list_filter_submit = True
    unshown: ClassVar[tuple[str, ...]] = ()
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
        """Return the fields that the subclass names, else all but the secret and the unshown ones."""
        secret = secret_fields(self.model)
        names = [field.name for field in self.model._meta.concrete_fields]
        return self.fields or [name for name in names if name not in {*secret, *self.unshown}]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with those that their columns name, without the secret columns of either."""
        secret = secret_fields(self.model)
        rows: QuerySet[Any] = super().get_queryset(request)
        for name in self.list_select_related:
            remote = self.model._meta.get_field(name).related_model
            secret += [f"{name}__{field}" for field in secret_fields(remote)]
            rows = rows.select_related(name)
        return rows.defer(*secret)


class TenantRowAdmin(ConsoleAdmin):
    """Rows of tenants: each names its tenant, by which they can be filtered."""

    list_select_related: tuple[str, ...] = ("tenant",)

    @display(description="Tenant", ordering="tenant__name")
    def tenant_name(self, row: Any) -> str:
        """Return the name of the row's tenant."""
        return row.tenant.name if row.tenant else "The platform"

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the subclass's columns, and the tenant after the first."""
        first, *others = super().get_list_display(request)
        return (first, "tenant_name", *others)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return a search for the tenant, and the subclass's filters: a list of all tenants would have no end."""
        return (("tenant", AutocompleteSelectFilter), *super().get_list_filter(request))


class LongTableAdmin(TenantRowAdmin):
    """Rows of tenants of which there are too many to count for each page."""

    paginator = InfinitePaginator


def secret_fields(model: type[Model]) -> list[str]:
    """Return the names of the columns that nobody is shown: the binary ones."""
    return [field.name for field in model._meta.concrete_fields if isinstance(field, BinaryField)]


def ask_first(
    model_admin: ConsoleAdmin,
    request: HttpRequest,
    object_id: str,
    *,
    question: str,
    button: str,
    do: Callable[[Any], None],
) -> HttpResponse:
    """Return a page that asks the operator, and by POST `do` it to the row; what forbids it is said on the page.

    What was done is noted in the console's own log. `question` may name the row as {row}.

    Raises:
        Http404: there is no such row.
    """
    row = model_admin.get_object(request, object_id)
    if row is None:
        raise Http404
    meta, error = model_admin.model._meta, ""
    back = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    if request.method == "POST":
        try:
            do(row)
        except DomainError as refused:
            error = refused.detail  # the status undoes what was done
        else:
            model_admin.log_change(request, row, f"{button}.")
            model_admin.message_user(request, f"Done: {button[0].lower()}{button[1:]}.")
            return HttpResponseRedirect(back)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": meta,
        "title": button,
        "question": question.format(row=row),
        "button": button,
        "back": back,
        "error": error,
    }
    return TemplateResponse(request, "console/ask_first.html", context, status=409 if error else 200)


def _is_operator(user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and user.is_operator

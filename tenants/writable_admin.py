"""Rows of tenants that operators may add and change in the console, by the same operations as everyone else."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Field, Model
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from fatfire.kit.errors import DomainError, InvalidInput
from fatfire.kit.money import MoneyField
from tenants.admin import TenantRowAdmin
from tenants.isolation import tenant_beside_operator


class WritingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that is valid once its values are written: what the operation refuses stands beside its field."""

    write: ClassVar[Callable[[dict[str, Any]], Model]]
    written: Model | None = None

    def is_valid(self) -> bool:
        """Return whether the values could be written, which they then are."""
        if super().is_valid() and self.written is None:
            try:
                self.written = type(self).write(self.cleaned_data)
            except DomainError as refused:
                field = refused.field if isinstance(refused, InvalidInput) else None
                self.add_error(field if field in self.fields else None, refused.detail)
            except ObjectDoesNotExist:
                self.add_error(None, "What is chosen here doesn't belong together: it is of different portfolios.")
        return super().is_valid()

    def validate_constraints(self) -> None:
        """Leave it to the operation, which says it in words."""


class WritableAdmin(TenantRowAdmin):
    """Rows that are added and changed through operations, run as the tenant that the form's values name.

    Of a row without a portfolio, the form of a new one has a field `household`, and the subclass its own `tenant_of`.
    """

    form = WritingForm

    def tenant_of(self, values: dict[str, Any]) -> UUID:
        """Return the tenant that a new row is for: that of its portfolio."""
        tenant_id: UUID = values["portfolio"].tenant_id
        return tenant_id

    @abstractmethod
    def write(self, row: Any, values: dict[str, Any]) -> Model:
        """Make a row of the values, or (given one) change it, by an operation of the service."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether an operator asks."""
        return bool(self.has_view_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether an operator asks."""
        return bool(self.has_view_permission(request, obj))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields of the form; of a row that is there, first whose it is."""
        return self.fields if obj is None else ("tenant", *(name for name in self.fields if name != "household"))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the tenant of a row that is there: rows don't move."""
        return () if obj is None else ("tenant",)

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class, which writes to this row."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"write": staticmethod(partial(self._write, obj))})

    def _write(self, row: Any, values: dict[str, Any]) -> Model:
        with tenant_beside_operator(self.tenant_of(values) if row is None else row.tenant_id):
            return self.write(row, values)

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of a column: an amount is a decimal number, and what may be NULL may be left empty."""
        if isinstance(db_field, MoneyField):
            return forms.DecimalField(
                max_digits=18, decimal_places=4, required=not db_field.null, widget=UnfoldAdminDecimalFieldWidget()
            )
        if db_field.null:
            kwargs["required"] = False
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Return the row that was written."""
        return form.written

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Do nothing: it is written."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Do nothing: there is none."""

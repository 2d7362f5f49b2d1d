"""The console's page of tax years."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldForeignKeyRawIdWidget

from fatfire.kit.clock import now
from services.tax import operations
from services.tax.models import Jurisdiction, TaxYear
from services.tax.operations import TaxYearFacts
from tenants.models import Tenant
from tenants.writable_admin import WritableAdmin, WritingForm


class NewTaxYearForm(WritingForm):
    """A tax year, and the household that it is for."""

    household = forms.ModelChoiceField(
        Tenant.objects.none(),
        widget=UnfoldForeignKeyRawIdWidget(TaxYear._meta.get_field("tenant").remote_field, admin.site),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["household"].queryset = Tenant.objects.all()  # type: ignore[attr-defined]


@admin.register(TaxYear)
class TaxYearAdmin(WritableAdmin):
    """Tax years."""

    list_display = ("person_name", "jurisdiction", "label", "status", "lodged_on", "assessed_on", "assessment")
    list_filter = (("jurisdiction", ChoicesDropdownFilter),)
    search_fields = ("person_name",)
    ordering = ("-starts_in", "-id")
    fields = (
        "household", "person_name", "jurisdiction", "starts_in", "lodged_on", "assessed_on", "assessment", "note",
    )  # fmt: skip

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form's class; only of a new tax year it asks for the household."""
        form = NewTaxYearForm if obj is None else WritingForm
        return super().get_form(request, obj, change=change, form=form, **kwargs)

    def tenant_of(self, values: dict[str, Any]) -> UUID:
        """Return the tenant that was chosen."""
        tenant_id: UUID = values["household"].id
        return tenant_id

    def write(self, row: TaxYear | None, values: dict[str, Any]) -> TaxYear:
        """Create or update the tax year."""
        said = {name: value for name, value in values.items() if name != "household"}
        facts = TaxYearFacts(**{**said, "jurisdiction": Jurisdiction(said["jurisdiction"])})
        if row is None:
            return operations.create_tax_year(facts=facts, at=now())
        return operations.update_tax_year(tax_year_id=row.id, facts=facts, at=now())

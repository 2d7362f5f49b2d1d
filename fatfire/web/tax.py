"""The pages of the tax years: whose, how far each return has come, and what it came to."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from fatfire.kit.clock import local_date, now
from fatfire.kit.errors import DomainError
from fatfire.web.access import page
from fatfire.web.amounts import amount_field, typed_amount, with_amounts
from fatfire.web.flash import see_other
from fatfire.web.forms import FormPage, attempt, choice_field, day_field, text_field
from fatfire.web.records import Line, RecordPage, ask_and_delete, day_line, show_record
from fatfire.web.shell import may_write, shell_of, show, show_form
from fatfire.web.templatetags.money import money
from services.tax import operations, queries
from services.tax.models import Jurisdiction, TaxYear
from services.tax.operations import TaxYearFacts
from tenants.models import Tenant
from tenants.permissions import Role, requires

_ACTIVE = "tax"
_BESIDE: dict[type[DomainError], str] = {operations.TaxYearExists: "year"}
_YEARS_BACK = 10
_REFUND, _OWED = "refund", "owed"


def _written(jurisdiction: Jurisdiction, starts_in: int) -> str:
    return f"{jurisdiction}-{starts_in}"


def _read_year(text: str) -> tuple[Jurisdiction, int]:
    code, _, starts_in = text.partition("-")
    return Jurisdiction(code), int(starts_in)


class TaxYearForm(forms.Form):
    """A tax year; `year` is a country and the calendar year that it begins in."""

    person_name = text_field("Whose", 120, required="Enter the person's name.", suggestions=queries.people)
    year = choice_field("Tax year", (), coerce=_read_year)
    lodged_on = day_field("Return lodged on", required=False)
    assessed_on = day_field("Assessed on", required=False)
    result = choice_field("Result", [(_REFUND, "Refunded to you"), (_OWED, "Payable by you")], coerce=str)
    assessment = amount_field("Amount of the assessment", "Empty until there is one.", required=False)
    note = text_field("Note", 500)

    def __init__(
        self,
        values: Mapping[str, Any] | None,
        *,
        initial: dict[str, Any],
        tenant: Tenant,
        tax_year: TaxYear | None = None,
    ) -> None:
        super().__init__(values, initial=initial)
        self.fields["year"].choices = _year_choices(tenant, tax_year)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Read the amount in the country's currency; what is payable is negative."""
        year: tuple[Jurisdiction, int] | None = self.cleaned_data.get("year")
        return with_amounts(self, "assessment", currency=year[0].currency if year else None)


def _year_choices(tenant: Tenant, tax_year: TaxYear | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each country's years, the tenant's own country first; newest first, with the year of `tax_year`."""
    today = local_date(now(), tenant.time_zone)
    choices = []
    for each in sorted(Jurisdiction, key=lambda each: each != tenant.country):
        newest = today.year if each.starts_on(today.year) <= today else today.year - 1
        years = set(range(newest, newest - _YEARS_BACK, -1))
        if tax_year is not None and tax_year.jurisdiction == each:
            years.add(tax_year.starts_in)
        named = [
            (_written(each, year), f"{each.year_label(year)}, {each.label}") for year in sorted(years, reverse=True)
        ]
        choices.append((str(each.label), named))
    return choices


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List the household's tax years, newest first."""
    shell = shell_of(request, _ACTIVE)
    tax_years = queries.list_tax_years().order_by("-starts_in", "person_name", "id")
    return show(request, "web/tax.html", shell, tax_years=list(tax_years), may_write=may_write(request))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for a tax year, and record it."""
    shell = shell_of(request, _ACTIVE)
    values = request.POST if request.method == "POST" else None
    form = TaxYearForm(values, initial={"person_name": shell.person.name}, tenant=shell.tenant)
    if request.method == "POST":
        made = attempt(form, lambda values: operations.create_tax_year(facts=_facts(values), at=now()), beside=_BESIDE)
        if made:
            return see_other(request, reverse("tax-year", args=[made.id]), saying="Tax year added")
    words = FormPage("Add a tax year", "One person's, in one country.", "Add tax year", reverse("tax"))
    return show_form(request, shell, form, words)


@require_safe
@page
def show_one(request: HttpRequest, tax_year_id: UUID) -> HttpResponse:
    """Show all that is known of a tax year."""
    record = _record(queries.get_tax_year(tax_year_id=tax_year_id))
    return show_record(request, shell_of(request, _ACTIVE), record)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def edit(request: HttpRequest, tax_year_id: UUID) -> HttpResponse:
    """Ask for what is to be changed of a tax year, and change it."""
    tax_year = queries.get_tax_year(tax_year_id=tax_year_id)
    shell = shell_of(request, _ACTIVE)
    values = request.POST if request.method == "POST" else None
    form = TaxYearForm(values, initial=_initial(tax_year), tenant=shell.tenant, tax_year=tax_year)
    path = reverse("tax-year", args=[tax_year_id])
    if request.method == "POST":
        saved = attempt(
            form,
            lambda values: operations.update_tax_year(tax_year_id=tax_year_id, facts=_facts(values), at=now()),
            beside=_BESIDE,
        )
        if saved:
            return see_other(request, path, saying="Tax year saved")
    return show_form(request, shell, form, FormPage(f"Edit {_title(tax_year)}", "", "Save tax year", path))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def delete(request: HttpRequest, tax_year_id: UUID) -> HttpResponse:
    """Ask whether a tax year is to be deleted, and delete it."""
    tax_year = queries.get_tax_year(tax_year_id=tax_year_id)
    return ask_and_delete(
        request,
        shell_of(request, _ACTIVE),
        _record(tax_year),
        lambda: operations.delete_tax_year(tax_year_id=tax_year_id, at=now()),
        warning="It can't be brought back.",
    )


def _facts(values: dict[str, Any]) -> TaxYearFacts:
    jurisdiction, starts_in = values["year"]
    amount = values["assessment"]
    return TaxYearFacts(
        person_name=values["person_name"],
        jurisdiction=jurisdiction,
        starts_in=starts_in,
        lodged_on=values["lodged_on"],
        assessed_on=values["assessed_on"],
        assessment=-amount if amount and values["result"] == _OWED else amount,
        note=values["note"],
    )


def _initial(tax_year: TaxYear) -> dict[str, Any]:
    """Return what stands in the form of a tax year."""
    amount = tax_year.assessment
    return {
        **{name: getattr(tax_year, name) for name in ("person_name", "lodged_on", "assessed_on", "note")},
        "year": _written(Jurisdiction(tax_year.jurisdiction), tax_year.starts_in),
        "result": _OWED if amount is not None and amount < 0 else _REFUND,
        "assessment": typed_amount(None if amount is None else abs(amount), tax_year.currency),
    }


def _title(tax_year: TaxYear) -> str:
    return f"{tax_year.label} of {tax_year.person_name}"


def _record(tax_year: TaxYear) -> RecordPage:
    """Return what is shown of a tax year."""
    amount = tax_year.assessment
    shown = "" if amount is None else money(abs(amount), tax_year.currency)
    lines = (
        Line("Whose", tax_year.person_name),
        Line("Country", Jurisdiction(tax_year.jurisdiction).label),
        day_line("From", tax_year.starts_on),
        day_line("To", tax_year.ends_on),
        Line("Status", tax_year.status.label),
        day_line("Return lodged on", tax_year.lodged_on),
        day_line("Assessed on", tax_year.assessed_on),
        Line("Payable" if amount is not None and amount < 0 else "Refund", shown),
        Line("Note", tax_year.note),
    )
    return RecordPage("tax-year", tax_year.id, _title(tax_year), "", "Taxation", lines)

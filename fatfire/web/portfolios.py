"""The pages of the portfolios: what each is worth; a new one, another name, currency or time zone; the end of one."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.forms import CurrencyField, FormPage, TimeZoneField, attempt, is_saved, name_field
from fatfire.web.jobs import path_of
from fatfire.web.shell import choose, may_write, shell_of, show, show_form
from services.accounts.queries import principal_of
from services.analytics import queries as analytics
from services.analytics.queries import Totals
from services.cleanup import operations as cleanup
from services.cleanup import queries as cleanup_queries
from services.core import operations, queries
from services.core.models import Portfolio
from services.jobs.models import Job
from tenants.permissions import Role, requires

_ACTIVE = "portfolios"
_BESIDE: dict[type[DomainError], str] = {operations.NameTaken: "name"}


class NewPortfolioForm(forms.Form):
    """A portfolio to create."""

    name = name_field(80)
    currency = CurrencyField()
    time_zone = TimeZoneField()


class NameForm(forms.Form):
    """Another name."""

    name = name_field(80)


class CurrencyForm(forms.Form):
    """What a portfolio is reckoned in."""

    currency = CurrencyField()
    time_zone = TimeZoneField()


class DeletionForm(forms.Form):
    """The portfolio's name once more, from whoever means it."""

    typed = forms.CharField(
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Type the portfolio's name."},
    )

    def __init__(self, values: Any, *, name: str) -> None:
        super().__init__(values)
        self.name = name
        self.fields["typed"].label = f"Type {name} to delete it"

    def clean_typed(self) -> str:
        """Return the name.

        Raises:
            ValidationError: it is another.
        """
        typed: str = self.cleaned_data["typed"]
        if typed != self.name:
            msg = f"That is not its name. It is called {self.name}."
            raise forms.ValidationError(msg)
        return typed


@dataclass(frozen=True, slots=True)
class Going:
    """A portfolio that is being deleted, and the job that does it; None: that was forgotten, and is asked for anew."""

    portfolio: Portfolio
    job: Job | None


@dataclass(frozen=True, slots=True)
class Row:
    """A portfolio and what it was worth when last worked out, None: not yet; and that converted, where it can be."""

    portfolio: Portfolio
    totals: Totals | None
    converted: Totals | None


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List the portfolios, oldest first, with their net worth."""
    shell = shell_of(request, _ACTIVE)
    ids = [each.id for each in shell.portfolios]
    totals = analytics.newest_totals(portfolio_ids=ids)
    is_chosen = shell.display is not None and shell.display.is_chosen
    converted = analytics.newest_totals(portfolio_ids=ids, currency=shell.currency) if is_chosen else {}
    rows = [Row(each, totals.get(each.id), converted.get(each.id)) for each in shell.portfolios]
    return show(
        request,
        "web/portfolios.html",
        shell,
        rows=rows,
        going=_going(),
        may_write=may_write(request),
        may_delete=principal_of(request).role.allows(Role.ADMIN),
    )


def _going() -> list[Going]:
    portfolios = list(queries.list_portfolios_in_deletion().order_by("deleting_since", "id"))
    jobs = cleanup_queries.deletion_jobs(portfolio_ids=[each.id for each in portfolios])
    return [Going(each, jobs.get(each.id)) for each in portfolios]


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for a portfolio's name, currency and time zone; create it and show it from now on."""
    shell = shell_of(request, _ACTIVE)
    initial = {"currency": shell.tenant.home_currency, "time_zone": shell.tenant.time_zone}
    form = NewPortfolioForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        made = attempt(form, lambda values: operations.create_portfolio(**values, at=now()), beside=_BESIDE)
        if made:
            choose(request, made)
            return see_other(request, reverse("portfolios"), saying="Portfolio created")
    words = FormPage(
        "New portfolio",
        "Things whose worth is added up, in one currency.",
        "Create portfolio",
        reverse("portfolios"),
    )
    return show_form(request, shell, form, words)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def rename(request: HttpRequest, portfolio_id: UUID) -> HttpResponse:
    """Ask for another name, and give it."""
    portfolio = queries.get_portfolio(portfolio_id=portfolio_id)
    words = FormPage("Rename portfolio", f"It is called {portfolio.name} now.", "Save name", reverse("portfolios"))
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": portfolio.name})
    return _update(request, portfolio, form, words, saying="Name saved")


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def change_currency(request: HttpRequest, portfolio_id: UUID) -> HttpResponse:
    """Ask for another currency and time zone; the portfolio's history is then worked out anew."""
    portfolio = queries.get_portfolio(portfolio_id=portfolio_id)
    words = FormPage(
        "Currency and time zone",
        f"Of {portfolio.name}. Its history is worked out again, which takes a moment; what you entered stays as it is.",
        "Save",
        reverse("portfolios"),
    )
    initial = {"currency": portfolio.currency, "time_zone": portfolio.time_zone}
    form = CurrencyForm(request.POST if request.method == "POST" else None, initial=initial)
    return _update(request, portfolio, form, words, saying="Currency and time zone saved")


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.ADMIN)
def delete(request: HttpRequest, portfolio_id: UUID) -> HttpResponse:
    """Say what deleting it means and ask for its name; given that, begin, and show how far it is."""
    portfolio = queries.get_portfolio(portfolio_id=portfolio_id)
    form = DeletionForm(request.POST if request.method == "POST" else None, name=portfolio.name)
    if request.method == "POST" and form.is_valid():
        job = cleanup.request_portfolio_deletion(portfolio_id=portfolio_id, at=now())
        return see_other(request, path_of(job), saying=f"{portfolio.name} is being deleted")
    return show(
        request,
        "web/delete_portfolio.html",
        shell_of(request, _ACTIVE),
        status=422 if form.errors else 200,
        portfolio=portfolio,
        contents=cleanup_queries.portfolio_contents(portfolio_id=portfolio_id),
        form=form,
        back=reverse("portfolios"),
    )


@require_POST
@page
@requires(Role.ADMIN)
def resume_deletion(request: HttpRequest, portfolio_id: UUID) -> HttpResponse:
    """Go on with a deletion that was begun."""
    queries.list_portfolios_in_deletion().get(id=portfolio_id)
    job = cleanup.request_portfolio_deletion(portfolio_id=portfolio_id, at=now())
    return HttpResponseRedirect(path_of(job), status=303)


@require_POST
@page
@requires(Role.ADMIN)
def restore(request: HttpRequest, portfolio_id: UUID) -> HttpResponse:
    """Keep a portfolio whose deletion hasn't come to anything in it."""
    cleanup.restore_portfolio(portfolio_id=portfolio_id, at=now())
    return see_other(request, reverse("portfolios"), saying="Portfolio kept")


def _update(
    request: HttpRequest, portfolio: Portfolio, form: forms.Form, words: FormPage, *, saying: str
) -> HttpResponse:
    def write(values: dict[str, Any]) -> Portfolio:
        return operations.update_portfolio(portfolio_id=portfolio.id, **values, at=now())

    if request.method == "POST" and is_saved(form, write, beside=_BESIDE):
        return see_other(request, reverse("portfolios"), saying=saying)
    return show_form(request, shell_of(request, _ACTIVE), form, words)

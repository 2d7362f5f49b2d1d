"""What is around every page of someone signed in: the menu, the portfolios to choose from, the person."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from fatfire.web.access import page
from fatfire.web.display import Display, choose_currency, display_of
from fatfire.web.flash import take_flash
from fatfire.web.forms import FormPage
from services.accounts import queries as accounts
from services.accounts.queries import Principal
from services.accounts.sign_in import Person, local_path
from services.core import queries as core
from services.core.models import Portfolio
from tenants.models import Tenant
from tenants.permissions import Role, requires

_PORTFOLIO = "portfolio_id"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu: only what works has one."""

    name: str
    label: str
    icon: str


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of the menu under a heading; the first has none."""

    title: str
    entries: tuple[Entry, ...]


# A section without entries isn't shown: it waits for the first page that belongs there.
MENU = (
    Section(
        "",
        (Entry("dashboard", "Dashboard", "layout-dashboard"),),
    ),
    Section(
        "Your financials",
        (
            Entry("accounts", "Bank accounts", "landmark"),
            Entry("assets", "Property & other", "house"),
        ),
    ),
    Section(
        "Net worth",
        (
            Entry("net-worth", "Net worth", "trending-up"),
            Entry("portfolios", "Portfolios", "briefcase"),
        ),
    ),
    Section(
        "Extras",
        (
            Entry("insurance", "Insurance", "umbrella"),
            Entry("receipts", "Receipts", "receipt"),
            Entry("videos", "Videos", "video"),
            Entry("tax", "Taxation", "scroll-text"),
        ),
    ),
)


class InPortfolio(Protocol):
    """A row that belongs to a portfolio."""

    portfolio_id: UUID


@dataclass(frozen=True, slots=True)
class Shell:
    """What the page's frame shows. `display` is how the portfolio's totals are shown; None without one."""

    active: str
    tenant: Tenant
    person: Person
    portfolios: tuple[Portfolio, ...]
    portfolio: Portfolio | None
    display: Display | None
    menu: tuple[Section, ...] = tuple(section for section in MENU if section.entries)

    def portfolio_of(self, row: InPortfolio) -> Portfolio:
        """Return the portfolio of something that is in one."""
        return next(each for each in self.portfolios if each.id == row.portfolio_id)

    @property
    def listens(self) -> bool:
        """Whether the page may ask to be told when a job has changed."""
        return bool(settings.WEBSOCKET_URL)

    @property
    def currency(self) -> str:
        """What totals are shown in: what was chosen, else the portfolio's currency, else the household's."""
        return self.display.currency if self.display else self.tenant.home_currency


def shell_of(request: HttpRequest, active: str) -> Shell:
    """Return the frame of a page, in the open scope; `active` names the page's entry in the menu.

    The portfolio is the one that the session chose, else the oldest; None when there is none.
    """
    portfolios = tuple(core.list_portfolios().order_by("created_at", "id"))
    chosen = request.session.get(_PORTFOLIO)
    portfolio = next((each for each in portfolios if str(each.id) == chosen), portfolios[0] if portfolios else None)
    person: Person = request.person  # type: ignore[attr-defined]
    tenant = accounts.current_tenant()
    display = display_of(request, portfolio, home=tenant.home_currency) if portfolio else None
    return Shell(active, tenant, person, portfolios, portfolio, display)


def show(request: HttpRequest, template: str, shell: Shell, *, status: int = 200, **context: Any) -> HttpResponse:
    """Return the page in its frame, with what the request before it has to say."""
    return render(request, template, {"shell": shell, "flash": take_flash(request), **context}, status=status)


def show_form(request: HttpRequest, shell: Shell, form: forms.Form, words: FormPage) -> HttpResponse:
    """Return a page with one form, with what was refused beside its fields."""
    return show(request, "web/form.html", shell, status=422 if form.errors else 200, form=form, words=words)


def may_write(request: HttpRequest) -> bool:
    """Return whether the person's role lets them change anything: who may not sees no buttons for it."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    return principal.role.allows(Role.MEMBER)


def may_administer(request: HttpRequest) -> bool:
    """Return whether the person's role lets them change the household itself, and see who did what."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    return principal.role.allows(Role.ADMIN)


def choose(request: HttpRequest, portfolio: Portfolio) -> None:
    """Show this portfolio from now on."""
    request.session[_PORTFOLIO] = str(portfolio.id)


@require_POST
@page
@requires(Role.VIEWER)
def switch_portfolio(request: HttpRequest) -> HttpResponse:
    """Show another portfolio from now on."""
    portfolio = core.get_portfolio(portfolio_id=_uuid(request.POST.get("portfolio", "")))
    choose(request, portfolio)
    return HttpResponseRedirect(local_path(request.POST.get("next", "/")))


@require_POST
@page
@requires(Role.VIEWER)
def switch_currency(request: HttpRequest) -> HttpResponse:
    """Show totals in another currency from now on."""
    choose_currency(request, request.POST.get("currency", ""))
    return HttpResponseRedirect(local_path(request.POST.get("next", "/")))


def _uuid(text: str) -> UUID:
    """Return the id; what can't be one is one that nothing has."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)

"""The pages of the insurance policies: what is covered, what a year of it costs, and when each renews."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe

from fatfire.kit.clock import local_date, now
from fatfire.kit.errors import DomainError
from fatfire.kit.money import Money
from fatfire.web.access import page
from fatfire.web.amounts import amount_field, typed_amount, with_amounts
from fatfire.web.flash import see_other
from fatfire.web.forms import CurrencyField, FormPage, attempt, choice_field, day_field, text_field
from fatfire.web.records import Line, RecordPage, ask_and_delete, day_line, show_record
from fatfire.web.shell import may_write, shell_of, show, show_form
from fatfire.web.templatetags.money import day, money, money_text
from fatfire.web.videos import videos_about
from services.core import queries as core
from services.core.models import Portfolio
from services.insurance import operations, queries
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from services.insurance.operations import PolicyFacts
from tenants.permissions import Role, requires

_ACTIVE = "insurance"
_BESIDE: dict[type[DomainError], str] = {operations.PolicyNumberTaken: "number"}


class PolicyForm(forms.Form):
    """A policy; its values are the facts of one, but for the portfolio."""

    kind = choice_field("What it insures", [("", "Choose …"), *PolicyKind.choices], coerce=PolicyKind)
    insurer = text_field("Insurer", 120, required="Enter the insurer's name.")
    number = text_field("Policy number", 60)
    asset_id = choice_field("Covers", (), coerce=UUID, required=False, help_text="What is kept in this portfolio.")
    person_name = text_field("Insured person", 120, help_text="Of a health, life or income policy.")
    currency = CurrencyField()
    premium = amount_field("Premium", "One payment, with its taxes.")
    premium_frequency = choice_field("Paid", PremiumFrequency.choices, coerce=PremiumFrequency)
    sum_insured = amount_field("Sum insured", "Leave it empty where there is none.", required=False)
    excess = amount_field("Excess", "What you bear of each claim.", required=False)
    starts_on = day_field("Starts on", "The first day of cover.")
    ends_on = day_field("Ends or renews on", "The last day of cover; empty where there is none.", required=False)
    renews_automatically = choice_field(
        "On that day", [("no", "It ends"), ("yes", "It renews by itself")], coerce=lambda text: text == "yes"
    )
    cancelled_on = day_field("Cancelled on", "The first day without cover.", required=False)
    note = text_field("Note", 500)

    def __init__(
        self,
        values: Mapping[str, Any] | None,
        *,
        initial: dict[str, Any],
        portfolio: Portfolio,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(values, initial=initial)
        covered = policy and policy.asset_id
        assets = core.list_assets(portfolio_id=portfolio.id).order_by("created_at", "id")
        offered = [(str(each.id), each.name) for each in assets if each.closed_on is None or each.id == covered]
        self.fields["asset_id"].choices = [("", "Nothing in particular"), *offered]  # type: ignore[attr-defined]
        if policy is None:
            del self.fields["cancelled_on"]

    def clean(self) -> dict[str, Any]:
        """Read the amounts in the currency."""
        currency = self.cleaned_data.get("currency")
        return with_amounts(self, "premium", "sum_insured", "excess", currency=currency)


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, and what there is to say about its end."""

    policy: Policy
    when: str


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List the chosen portfolio's policies, those in force first, and what these cost a year."""
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio
    current_rows: list[Row] = []
    other_rows: list[Row] = []
    costs: list[Money] = []
    if portfolio is not None:
        today = _today(portfolio)
        for policy in queries.list_policies(portfolio_id=portfolio.id).order_by("created_at", "id"):
            (current_rows if policy.is_in_force(today) else other_rows).append(Row(policy, _when(policy, today)))
        cost = queries.yearly_cost(portfolio_id=portfolio.id, on=today)
        costs = [Money(amount, currency) for currency, amount in cost.items()]
    return show(
        request,
        "web/insurance.html",
        shell,
        current_rows=current_rows,
        other_rows=other_rows,
        costs=costs,
        may_write=may_write(request),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for a policy, and record it."""
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio
    if portfolio is None:
        return HttpResponseRedirect(reverse("add-portfolio"), status=303)
    initial = {"currency": portfolio.currency, "starts_on": _today(portfolio), "premium_frequency": "monthly"}
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=initial, portfolio=portfolio)
    if request.method == "POST":
        made = attempt(
            form, lambda values: operations.create_policy(facts=_facts(portfolio, values), at=now()), beside=_BESIDE
        )
        if made:
            return see_other(request, reverse("policy", args=[made.id]), saying="Policy added")
    words = FormPage("Add a policy", f"What {portfolio.name} is insured for.", "Add policy", reverse("insurance"))
    return show_form(request, shell, form, words)


@require_safe
@page
def show_one(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Show all that is known of a policy."""
    policy = queries.get_policy(policy_id=policy_id)
    shell = shell_of(request, _ACTIVE)
    record = _record(policy, shell.portfolio_of(policy))
    videos = videos_about(policy_id=policy_id)
    return show_record(request, shell, record, videos=videos, about=f"policy {policy_id}")


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def edit(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Ask for what is to be changed of a policy, and change it."""
    policy = queries.get_policy(policy_id=policy_id)
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio_of(policy)
    form = PolicyForm(
        request.POST if request.method == "POST" else None, initial=_initial(policy), portfolio=portfolio, policy=policy
    )
    path = reverse("policy", args=[policy_id])
    if request.method == "POST":
        saved = attempt(
            form,
            lambda values: operations.update_policy(policy_id=policy_id, facts=_facts(portfolio, values), at=now()),
            beside=_BESIDE,
        )
        if saved:
            return see_other(request, path, saying="Policy saved")
    return show_form(request, shell, form, FormPage(f"Edit {policy}", "", "Save policy", path))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def delete(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Ask whether a policy is to be deleted, and delete it."""
    policy = queries.get_policy(policy_id=policy_id)
    shell = shell_of(request, _ACTIVE)
    return ask_and_delete(
        request,
        shell,
        _record(policy, shell.portfolio_of(policy)),
        lambda: operations.delete_policy(policy_id=policy_id, at=now()),
        warning="For one that was added by mistake. One that has ended is better kept: edit it and say when.",
    )


def _facts(portfolio: Portfolio, values: dict[str, Any]) -> PolicyFacts:
    return PolicyFacts(portfolio_id=portfolio.id, **values)


def _initial(policy: Policy) -> dict[str, Any]:
    """Return what stands in the form of a policy."""
    plain = ("kind", "insurer", "number", "asset_id", "person_name", "currency", "premium_frequency", "starts_on",
             "ends_on", "cancelled_on", "note")  # fmt: skip
    amounts = {name: getattr(policy, name) for name in ("premium", "sum_insured", "excess")}
    return {
        **{name: getattr(policy, name) for name in plain},
        **{name: typed_amount(amount, policy.currency) for name, amount in amounts.items()},
        "renews_automatically": "yes" if policy.renews_automatically else "no",
    }


def _record(policy: Policy, portfolio: Portfolio) -> RecordPage:
    """Return what is shown of a policy in the money of its portfolio."""
    frequency = PremiumFrequency(policy.premium_frequency)
    covered = "" if policy.asset_id is None else core.get_asset(asset_id=policy.asset_id).name

    def shown(amount: Any) -> str:
        return "" if amount is None else money(amount, policy.currency, portfolio.currency)

    premium = money_text(policy.premium, policy.currency, portfolio.currency)
    lines = (
        Line("Insurer", policy.insurer),
        Line("Policy number", policy.number),
        Line("Covers", covered),
        Line("Insured person", policy.person_name),
        Line("Sum insured", shown(policy.sum_insured)),
        Line("Premium", f"{premium}, {frequency.label.lower()}"),
        Line("A year's premiums", shown(policy.yearly_premium)),
        Line("Excess", shown(policy.excess)),
        Line("Starts on", day(policy.starts_on)),
        day_line("Renews on" if policy.renews_automatically else "Ends on", policy.ends_on),
        day_line("Cancelled on", policy.cancelled_on),
        Line("Note", policy.note),
    )
    return RecordPage("policy", policy.id, str(policy), portfolio.name, "Insurance", lines)


def _when(policy: Policy, today: dt.date) -> str:
    """Return the day that matters of a policy, in words."""
    if policy.cancelled_on is not None:
        return format_html("cancelled on {}", day(policy.cancelled_on))
    if policy.ends_on is None:
        return ""
    what = "renews" if policy.renews_automatically else "ended" if policy.ends_on < today else "ends"
    return format_html("{} on {}", what, day(policy.ends_on))


def _today(portfolio: Portfolio) -> dt.date:
    return local_date(now(), portfolio.time_zone)

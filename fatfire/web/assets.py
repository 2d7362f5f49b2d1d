"""The pages of what is kept by hand in a portfolio: property, cars, private loans; and what each is worth when."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fatfire.kit.clock import local_date, now
from fatfire.kit.pagination import paginate
from fatfire.web.access import page
from fatfire.web.amounts import amount_field, with_amounts
from fatfire.web.flash import see_other
from fatfire.web.forms import CurrencyField, FormPage, attempt, day_field, is_saved, name_field
from fatfire.web.shell import may_write, shell_of, show, show_form
from fatfire.web.videos import videos_about
from services.core import operations, queries
from services.core.models import MANUAL, Asset, AssetKind, Portfolio, Side, Valuation
from tenants.permissions import Role, requires

_ACTIVE = "assets"
_VALUES_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Kind:
    """What a person may keep by hand, in their words."""

    label: str
    kind: AssetKind
    side: Side


KINDS = {
    "property": Kind("Property", AssetKind.PROPERTY, Side.ASSET),
    "vehicle": Kind("Vehicle", AssetKind.VEHICLE, Side.ASSET),
    "superannuation": Kind("Superannuation", AssetKind.SUPERANNUATION, Side.ASSET),
    "share": Kind("Shares or funds", AssetKind.SHARE, Side.ASSET),
    "bank_account": Kind("Bank account", AssetKind.BANK_ACCOUNT, Side.ASSET),
    "other": Kind("Something else of value", AssetKind.OTHER, Side.ASSET),
    "loan": Kind("Loan", AssetKind.LOAN, Side.DEBT),
    "credit_card": Kind("Credit card", AssetKind.CREDIT_CARD, Side.DEBT),
    "other_debt": Kind("Another debt", AssetKind.OTHER, Side.DEBT),
}
_LABELS = {(each.kind, each.side): each.label for each in KINDS.values()}
_OWNED, _OWED = (
    tuple((key, each.label) for key, each in KINDS.items() if each.side == side) for side in (Side.ASSET, Side.DEBT)
)


class NewAssetForm(forms.Form):
    """Something to keep by hand, with its first value."""

    name = name_field(120)
    kind = forms.ChoiceField(
        label="What is it?",
        choices=[("You own", _OWNED), ("You owe", _OWED)],
        error_messages={"required": "Choose what it is.", "invalid_choice": "Choose what it is."},
    )
    currency = CurrencyField()
    value = amount_field("Value, or amount owed", "Of a debt, enter what is owed as a positive amount.")
    on = day_field("Day", "The value holds from the end of this day until the next one that you enter.")

    def clean(self) -> dict[str, Any]:
        """Read the amount in the currency."""
        return with_amounts(self, "value", currency=self.cleaned_data.get("currency"))


class ValueForm(forms.Form):
    """What something was worth at the end of a day."""

    value = amount_field("Value")
    on = day_field("Day", "A value of the same day is replaced.")

    def __init__(self, values: Mapping[str, Any] | None, *, asset: Asset, today: dt.date) -> None:
        super().__init__(values, initial={"on": today})
        self.currency = asset.currency
        if asset.side == Side.DEBT:
            self.fields["value"].label = "Amount owed"
            self.fields["value"].help_text = "As a positive amount; it is counted as a debt."
        self.fields["value"].label = f"{self.fields['value'].label} in {asset.currency}"

    def clean(self) -> dict[str, Any]:
        """Read the amount in the asset's currency."""
        return with_amounts(self, "value", currency=self.currency)


class NameForm(forms.Form):
    """Another name."""

    name = name_field(120)


class ClosingForm(forms.Form):
    """The day from which something counts no longer."""

    on = day_field("From this day on", "Its history until then stays.")


@dataclass(frozen=True, slots=True)
class Row:
    """Something kept by hand; `value` (debts ≤ 0) is None when there is none yet."""

    asset: Asset
    label: str
    value: Decimal | None
    value_on: dt.date | None


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List what is kept by hand in the chosen portfolio, oldest first; what is closed comes apart."""
    shell = shell_of(request, _ACTIVE)
    rows = _rows(shell.portfolio) if shell.portfolio else []
    return show(
        request,
        "web/assets.html",
        shell,
        open_rows=[row for row in rows if row.asset.closed_on is None],
        closed_rows=[row for row in rows if row.asset.closed_on is not None],
        may_write=may_write(request),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for something to keep by hand, and its first value."""
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio
    if portfolio is None:
        return HttpResponseRedirect(reverse("add-portfolio"), status=303)
    initial = {"currency": portfolio.currency, "on": _today(portfolio)}
    form = NewAssetForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        made = attempt(form, lambda values: _create(portfolio, values))
        if made:
            return see_other(request, _path(made), saying=f"{made.name} added")
    words = FormPage(
        "Add property or other", f"To {portfolio.name}. You keep its value up to date by hand.", "Add",
        reverse("assets"),
    )  # fmt: skip
    return show_form(request, shell, form, words)


def _create(portfolio: Portfolio, values: dict[str, Any]) -> Asset:
    """Create the asset and its first value; a debt's is stored negative."""
    kind, at = KINDS[values["kind"]], now()
    name, currency = values["name"], values["currency"]
    asset = operations.create_asset(
        portfolio_id=portfolio.id, name=name, kind=kind.kind, side=kind.side, currency=currency, at=at
    )
    _set_value(asset, values, at=at)
    return asset


def _set_value(asset: Asset, values: dict[str, Any], *, at: dt.datetime) -> Valuation:
    value = -values["value"] if asset.side == Side.DEBT else values["value"]
    return operations.set_value(asset_id=asset.id, on=values["on"], value=value, at=at)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def show_one(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Show what something was worth when, newest first; a value that is sent is written."""
    asset = _manual_asset(asset_id)
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio_of(asset)
    form = ValueForm(request.POST if request.method == "POST" else None, asset=asset, today=_today(portfolio))
    if request.method == "POST" and is_saved(form, lambda values: _set_value(asset, values, at=now())):
        return see_other(request, _path(asset), saying="Value saved")
    rows = queries.list_values(asset_id=asset.id)
    values = paginate(rows, order=("-on", "-id"), cursor=request.GET.get("cursor"), limit=_VALUES_ON_A_PAGE)
    return show(
        request,
        "web/asset.html",
        shell,
        status=422 if form.errors else 200,
        row=_row(asset),
        portfolio=portfolio,
        form=form,
        values=values.items,
        next_cursor=values.next_cursor,
        videos=videos_about(asset_id=asset.id),
        about=f"asset {asset.id}",
        may_write=may_write(request),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def rename(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Ask for another name, and give it."""
    asset = _manual_asset(asset_id)
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": asset.name})
    if request.method == "POST" and is_saved(
        form, lambda values: operations.rename_asset(asset_id=asset.id, **values, at=now())
    ):
        return see_other(request, _path(asset), saying="Name saved")
    words = FormPage(f"Rename {asset.name}", "Shown everywhere in fatfire.", "Save name", _path(asset))
    return show_form(request, shell_of(request, _ACTIVE), form, words)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def close(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Ask from which day on something counts no longer, and close it."""
    asset = _manual_asset(asset_id)
    if asset.closed_on is not None and request.method != "POST":
        raise operations.AssetClosed
    shell = shell_of(request, _ACTIVE)
    today = _today(shell.portfolio_of(asset))
    form = ClosingForm(request.POST if request.method == "POST" else None, initial={"on": today})
    if request.method == "POST" and is_saved(
        form, lambda values: operations.close_asset(asset_id=asset.id, **values, at=now())
    ):
        return see_other(request, reverse("assets"), saying=f"{asset.name} closed")
    words = FormPage(
        f"Close {asset.name}?",
        "It was sold or paid off, or you no longer want it counted. You can open it again later.",
        "Close it",
        _path(asset),
        is_danger=True,
    )
    return show_form(request, shell, form, words)


@require_POST
@page
@requires(Role.MEMBER)
def reopen(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Count something that was closed again, as if it never had been."""
    asset = operations.reopen_asset(asset_id=asset_id, at=now())
    return see_other(request, _path(asset), saying=f"{asset.name} counts again")


def _manual_asset(asset_id: UUID) -> Asset:
    """Return the asset, with its newest value.

    Raises:
        Asset.DoesNotExist: not this tenant's.
        NotManual: a bank keeps it.
    """
    asset = queries.get_asset(asset_id=asset_id)
    if not asset.is_manual:
        raise operations.NotManual
    return asset


def _rows(portfolio: Portfolio) -> list[Row]:
    assets = queries.list_assets(portfolio_id=portfolio.id).filter(source=MANUAL)
    return [_row(asset) for asset in assets.order_by("created_at", "id")]


def _row(asset: Asset) -> Row:
    label = _LABELS.get((AssetKind(asset.kind), Side(asset.side)), "Other")
    return Row(asset, label, asset.value, asset.value_on)  # type: ignore[attr-defined]  # annotated by list_assets


def _today(portfolio: Portfolio) -> dt.date:
    return local_date(now(), portfolio.time_zone)


def _path(asset: Asset) -> str:
    return reverse("asset", args=[asset.id])

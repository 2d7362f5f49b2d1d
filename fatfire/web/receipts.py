"""The pages of the receipts: what was bought, for how much, and which transaction paid it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from fatfire.kit.clock import local_date, now
from fatfire.kit.errors import DomainError
from fatfire.kit.pagination import paginate
from fatfire.web.access import page
from fatfire.web.amounts import amount_field, typed_amount, with_amounts
from fatfire.web.flash import see_other
from fatfire.web.formats import day_text
from fatfire.web.forms import CurrencyField, FormPage, attempt, choice_field, day_field, text_field
from fatfire.web.records import Line, RecordPage, ask_and_delete, day_line, show_record
from fatfire.web.shell import may_write, shell_of, show, show_form
from fatfire.web.templatetags.money import money, money_text
from services.core import queries as core
from services.core.models import Portfolio
from services.core.queries import TransactionFilter
from services.receipts import operations, queries
from services.receipts.models import Receipt
from services.receipts.operations import ReceiptFacts
from tenants.permissions import Role, requires

_ACTIVE = "receipts"
_BESIDE: dict[type[DomainError], str] = {operations.TransactionHasReceipt: "transaction_id"}
_ON_A_PAGE = 50
_OFFERED = 50
_BOOKED_WITHIN = dt.timedelta(days=14)
"""A card's payment is booked some days after the purchase; a deposit is paid some days before."""


class ReceiptForm(forms.Form):
    """A receipt; its values are the facts of one, but for the portfolio."""

    merchant = text_field("Merchant", 120, required="Enter the merchant's name.")
    purchased_on = day_field("Bought on")
    currency = CurrencyField()
    total = amount_field("Total", "With the tax.")
    tax_included = amount_field("Tax included", "GST, VAT or sales tax in the total; empty if unknown.", required=False)
    category = text_field("Category", 60, suggestions=list)
    transaction_id = choice_field("Paid by", (), coerce=UUID, required=False)
    warranty_until = day_field("Warranty until", required=False)
    note = text_field("Note", 500)

    def __init__(
        self,
        values: Mapping[str, Any] | None,
        *,
        initial: dict[str, Any],
        portfolio: Portfolio,
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(values, initial=initial)
        self.fields["category"].suggestions = lambda: queries.categories(portfolio_id=portfolio.id)  # type: ignore[attr-defined]
        payments = _payments(portfolio, receipt)
        self.fields["transaction_id"].choices = [("", "Not linked"), *payments]  # type: ignore[attr-defined]
        self.fields["transaction_id"].help_text = (
            "The newest payments." if receipt is None else "Payments around the day of the purchase."
        )

    def clean(self) -> dict[str, Any]:
        """Read the amounts in the currency."""
        return with_amounts(self, "total", "tax_included", currency=self.cleaned_data.get("currency"))


def _payments(portfolio: Portfolio, receipt: Receipt | None) -> list[tuple[str, str]]:
    """Return payments without another receipt, newest first, to choose from: around the purchase where it is known."""
    wanted = TransactionFilter(portfolio_id=portfolio.id)
    if receipt is not None:
        first, last = receipt.purchased_on - _BOOKED_WITHIN, receipt.purchased_on + _BOOKED_WITHIN
        wanted = TransactionFilter(portfolio_id=portfolio.id, from_day=first, to_day=last)
    taken = queries.list_receipts(portfolio_id=portfolio.id).filter(transaction__isnull=False)
    rows = core.list_transactions(wanted=wanted).filter(amount__lt=0).exclude(id__in=taken.values("transaction_id"))
    found = list(rows.order_by("-booked_on", "-id")[:_OFFERED])
    if receipt is not None and receipt.transaction_id is not None:
        own = core.list_transactions(wanted=TransactionFilter(portfolio_id=portfolio.id))
        found = [own.get(id=receipt.transaction_id), *found]
    return [(str(row["id"]), _payment_text(row, portfolio)) for row in found]


def _payment_text(row: dict[str, Any], portfolio: Portfolio) -> str:
    amount = money_text(abs(row["amount"]), row["currency"], portfolio.currency)
    return f"{day_text(row['booked_on'])} · {row['merchant'] or row['description']} · {amount}"


@require_safe
@page
def show_all(request: HttpRequest) -> HttpResponse:
    """List the chosen portfolio's receipts, newest first."""
    shell = shell_of(request, _ACTIVE)
    items: list[Receipt] = []
    next_cursor = None
    if shell.portfolio is not None:
        found = paginate(
            queries.list_receipts(portfolio_id=shell.portfolio.id),
            order=("-purchased_on", "-id"),
            cursor=request.GET.get("cursor"),
            limit=_ON_A_PAGE,
        )
        items, next_cursor = found.items, found.next_cursor
    return show(
        request, "web/receipts.html", shell, receipts=items, next_cursor=next_cursor, may_write=may_write(request)
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for a receipt, and record it."""
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio
    if portfolio is None:
        return HttpResponseRedirect(reverse("add-portfolio"), status=303)
    initial = {"currency": portfolio.currency, "purchased_on": local_date(now(), portfolio.time_zone)}
    form = ReceiptForm(request.POST if request.method == "POST" else None, initial=initial, portfolio=portfolio)
    if request.method == "POST":
        made = attempt(
            form, lambda values: operations.create_receipt(facts=_facts(portfolio, values), at=now()), beside=_BESIDE
        )
        if made:
            return see_other(request, reverse("receipt", args=[made.id]), saying="Receipt added")
    words = FormPage("Add a receipt", f"Something bought for {portfolio.name}.", "Add receipt", reverse("receipts"))
    return show_form(request, shell, form, words)


@require_safe
@page
def show_one(request: HttpRequest, receipt_id: UUID) -> HttpResponse:
    """Show all that is known of a receipt."""
    receipt = queries.get_receipt(receipt_id=receipt_id)
    shell = shell_of(request, _ACTIVE)
    return show_record(request, shell, _record(receipt, shell.portfolio_of(receipt)))


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def edit(request: HttpRequest, receipt_id: UUID) -> HttpResponse:
    """Ask for what is to be changed of a receipt, and change it."""
    receipt = queries.get_receipt(receipt_id=receipt_id)
    shell = shell_of(request, _ACTIVE)
    portfolio = shell.portfolio_of(receipt)
    values = request.POST if request.method == "POST" else None
    form = ReceiptForm(values, initial=_initial(receipt), portfolio=portfolio, receipt=receipt)
    path = reverse("receipt", args=[receipt_id])
    if request.method == "POST":
        saved = attempt(
            form,
            lambda values: operations.update_receipt(receipt_id=receipt_id, facts=_facts(portfolio, values), at=now()),
            beside=_BESIDE,
        )
        if saved:
            return see_other(request, path, saying="Receipt saved")
    words = FormPage(f"Edit the receipt of {receipt.merchant}", "", "Save receipt", path)
    return show_form(request, shell, form, words)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def delete(request: HttpRequest, receipt_id: UUID) -> HttpResponse:
    """Ask whether a receipt is to be deleted, and delete it."""
    receipt = queries.get_receipt(receipt_id=receipt_id)
    shell = shell_of(request, _ACTIVE)
    return ask_and_delete(
        request,
        shell,
        _record(receipt, shell.portfolio_of(receipt)),
        lambda: operations.delete_receipt(receipt_id=receipt_id, at=now()),
        warning="It can't be brought back. The transaction that paid it stays.",
    )


def _facts(portfolio: Portfolio, values: dict[str, Any]) -> ReceiptFacts:
    return ReceiptFacts(portfolio_id=portfolio.id, **values)


def _initial(receipt: Receipt) -> dict[str, Any]:
    """Return what stands in the form of a receipt."""
    plain = ("merchant", "purchased_on", "currency", "category", "transaction_id", "warranty_until", "note")
    amounts = {name: getattr(receipt, name) for name in ("total", "tax_included")}
    return {
        **{name: getattr(receipt, name) for name in plain},
        **{name: typed_amount(amount, receipt.currency) for name, amount in amounts.items()},
    }


def _record(receipt: Receipt, portfolio: Portfolio) -> RecordPage:
    """Return what is shown of a receipt in the money of its portfolio."""
    paid_by = ""
    if receipt.transaction_id is not None:
        own = core.list_transactions(wanted=TransactionFilter(portfolio_id=portfolio.id))
        paid_by = _payment_text(own.get(id=receipt.transaction_id), portfolio)
    tax = receipt.tax_included
    lines = (
        day_line("Bought on", receipt.purchased_on),
        Line("Total", money(receipt.total, receipt.currency, portfolio.currency)),
        Line("Tax included", "" if tax is None else money(tax, receipt.currency, portfolio.currency)),
        Line("Category", receipt.category),
        Line("Paid by", paid_by),
        day_line("Warranty until", receipt.warranty_until),
        Line("Note", receipt.note),
    )
    return RecordPage("receipt", receipt.id, receipt.merchant, portfolio.name, "Receipts", lines)

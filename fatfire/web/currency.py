"""The pages that say in what currency an account, or something kept by hand, is reckoned."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from fatfire.kit.clock import now
from fatfire.web.access import page
from fatfire.web.bank_jobs import name_of
from fatfire.web.flash import see_other
from fatfire.web.forms import CurrencyField, FormPage, is_saved
from fatfire.web.shell import shell_of, show_form
from services.core import operations as core_operations
from services.core import queries as core
from services.integration import operations
from services.integration import queries as integration
from services.integration.models import LinkedAccount
from tenants.permissions import Role, requires

_STAYS = (
    "The figures stay as they are and nothing is converted: 100.00 stays 100.00, in the new currency, from the first "
    "day on. Your net worth is worked out again."
)


class CurrencyForm(forms.Form):
    """A currency."""

    currency = CurrencyField()


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def of_account(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Ask for the currency of an account at a bank, and have it reckoned and read anew in that."""
    account = integration.get_linked_account(account_id=account_id)
    name = account.asset.name if account.asset else account.name

    def write(values: dict[str, Any]) -> object:
        return operations.set_account_currency(account_id=account_id, **values, at=now())

    return _answer(
        request,
        "accounts",
        write,
        words=FormPage(f"Currency of {name}", _told(account), "Save currency", reverse("accounts")),
        present=account.asset.currency if account.asset else "",
        path=reverse("accounts"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def of_asset(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Ask for the currency of something kept by hand, and have it reckoned in that."""
    asset = core.get_asset(asset_id=asset_id)
    path = reverse("asset", args=[asset_id])

    def write(values: dict[str, Any]) -> object:
        return core_operations.change_currency(asset_id=asset_id, **values, at=now())

    words = FormPage(f"Currency of {asset.name}", _STAYS, "Save currency", path)
    return _answer(request, "assets", write, words=words, present=asset.currency, path=path)


def _told(account: LinkedAccount) -> str:
    bank = name_of(account.link)
    if account.asset is None:
        return (
            f"{bank} doesn't say in what currency this account is, so it isn't counted. Once you say it, the account "
            "is read with its transactions, and later imports keep your choice."
        )
    if not account.currency:
        return f"{bank} doesn't say in what currency this account is. {_STAYS}"
    return f"{bank} says {account.currency}. Change it only if that is wrong; later imports keep your choice. {_STAYS}"


def _answer(
    request: HttpRequest,
    active: str,
    write: Callable[[dict[str, Any]], object],
    *,
    words: FormPage,
    present: str,
    path: str,
) -> HttpResponse:
    form = CurrencyForm(request.POST if request.method == "POST" else None, initial={"currency": present})
    if request.method == "POST" and is_saved(form, write):
        return see_other(request, path, saying="Currency saved")
    return show_form(request, shell_of(request, active), form, words)

"""The page about the API keys: those there are, a new one, revoking one."""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.forms import FormPage, attempt, name_field
from fatfire.web.settings.tabs import settings_shell
from fatfire.web.settings.tabs import show as show_settings
from fatfire.web.shell import show as show_page
from fatfire.web.shell import show_form
from services.accounts import operations, queries
from services.accounts.models import ApiKey
from tenants.permissions import Role, requires

_TAB = "settings-keys"
_KEYS_ON_A_PAGE = 50
_MAY = {
    Role.VIEWER: "Viewer: reads",
    Role.MEMBER: "Member: reads and writes",
    Role.ADMIN: "Admin: also keys and activity",
    Role.OWNER: "Owner: everything",
}
_DAYS = {"30": "In 30 days", "90": "In 90 days", "365": "In a year", "": "Never"}


@dataclass(frozen=True, slots=True)
class Row:
    """A key; `state` is "active", "revoked" or "expired"."""

    key: ApiKey
    state: str


class KeyForm(forms.Form):
    """A key to make, with at most its maker's role."""

    name = name_field(80, help_text="What the key is for, such as Spreadsheet.")
    role = forms.ChoiceField(
        label="What it may do",
        help_text="Never more than you may do at that moment.",
        error_messages={"required": "Choose what it may do.", "invalid_choice": "Choose what it may do from the list."},
    )
    days = forms.ChoiceField(
        label="Expires",
        choices=tuple(_DAYS.items()),
        required=False,
        error_messages={"invalid_choice": "Choose from the list when it expires."},
    )

    def __init__(self, values: Any, *, maker: Role) -> None:
        super().__init__(values, initial={"days": "90"})
        self.fields["role"].choices = [(role.value, words) for role, words in _MAY.items() if maker.allows(role)]  # type: ignore[attr-defined]


@require_safe
@page
@requires(Role.ADMIN)
def show(request: HttpRequest) -> HttpResponse:
    """List the keys of all members, newest first; the revoked and the expired ones too."""
    shell, at = settings_shell(request), now()
    found = paginate(
        queries.list_api_keys(),
        order=("-created_at", "-id"),
        cursor=request.GET.get("cursor"),
        limit=_KEYS_ON_A_PAGE,
    )
    return show_settings(
        request,
        "web/settings/keys.html",
        _TAB,
        shell=shell,
        rows=[Row(key, _state(key, at)) for key in found.items],
        next_cursor=found.next_cursor,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.ADMIN)
def add(request: HttpRequest) -> HttpResponse:
    """Ask what the key is for, and make it. Its secret is in the answer to the form, and nowhere afterwards."""
    shell, principal = settings_shell(request), queries.principal_of(request)
    form = KeyForm(request.POST if request.method == "POST" else None, maker=principal.role)
    if request.method == "POST":
        made = attempt(form, lambda values: _create(principal, values))
        if made:
            return show_page(
                request, "web/settings/new_key.html", shell, status=201, made=made, name=form.cleaned_data["name"]
            )
    words = FormPage("New API key", "It acts in your name, for programs.", "Create key", reverse(_TAB))
    return show_form(request, shell, form, words)


def _create(principal: queries.Principal, values: dict[str, Any]) -> operations.NewApiKey:
    at = now()
    expires_at = at + dt.timedelta(days=int(values["days"])) if values["days"] else None
    return operations.create_own_api_key(
        principal=principal, name=values["name"], role=Role(values["role"]), at=at, expires_at=expires_at
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.ADMIN)
def revoke(request: HttpRequest, api_key_id: UUID) -> HttpResponse:
    """Ask whether the key is to be refused from now on, and do it."""
    key = queries.get_api_key(api_key_id=api_key_id)
    if request.method == "POST":
        operations.revoke_api_key(api_key_id=api_key_id, at=now())
        return see_other(request, reverse(_TAB), saying=f"{key.name} is revoked")
    words = FormPage(
        f"Revoke {key.name}?",
        "Whatever uses this key is refused from that moment on. It can't be undone.",
        "Revoke key",
        reverse(_TAB),
        is_danger=True,
    )
    return show_form(request, settings_shell(request), forms.Form(), words)


def _state(key: ApiKey, at: dt.datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= at else "active"

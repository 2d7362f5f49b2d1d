"""The page about the household: its name, currency and time zone, and who is in it."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from fatfire.kit.clock import now
from fatfire.kit.errors import PermissionDenied
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.forms import CurrencyField, TimeZoneField, is_saved, name_field
from fatfire.web.settings.tabs import settings_shell
from fatfire.web.settings.tabs import show as show_settings
from fatfire.web.shell import may_administer
from services.accounts import operations, queries
from tenants.models import Membership
from tenants.permissions import Role

_TAB = "settings-household"
_ORDER = list(Role)


class HouseholdForm(forms.Form):
    """What a household is called and reckons in."""

    name = name_field(120)
    home_currency = CurrencyField("Home currency", "What a new portfolio begins with. Those that exist keep theirs.")
    time_zone = TimeZoneField("What a new portfolio begins with, and the clock that times here are shown by.")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def show(request: HttpRequest) -> HttpResponse:
    """Show the household and its members; owners and admins may change it.

    Raises:
        PermissionDenied: someone else tries to.
    """
    shell = settings_shell(request)
    tenant = shell.tenant
    initial = {"name": tenant.name, "home_currency": tenant.home_currency, "time_zone": tenant.time_zone}
    form = HouseholdForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        if not may_administer(request):
            raise PermissionDenied
        if is_saved(form, lambda values: operations.update_tenant(**values, at=now())):
            return see_other(request, reverse(_TAB), saying="The household is saved")
    return show_settings(
        request,
        "web/settings/household.html",
        _TAB,
        shell=shell,
        status=422 if form.errors else 200,
        form=form,
        members=sorted(queries.list_members(), key=_by_role),
    )


def _by_role(member: Membership) -> tuple[int, str]:
    return _ORDER.index(Role(member.role)), (member.user.name or member.user.email).casefold()

"""The page about the person: what they are called, and how numbers and days are written for them."""

from decimal import Decimal
from operator import itemgetter

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from fatfire.kit.clock import local_date, now
from fatfire.kit.locales import LOCALES
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.forms import is_saved, name_field
from fatfire.web.settings.tabs import settings_shell
from fatfire.web.settings.tabs import show as show_settings
from services.accounts import operations
from tenants.permissions import Role, requires

_TAB = "settings-profile"
_CHOICES = sorted(LOCALES.items(), key=itemgetter(1))
_EXAMPLE = Decimal("1234.56")


class ProfileForm(forms.Form):
    """A person's name and locale."""

    name = name_field(120, help_text="Shown to the members of your households.", required=False)
    locale = forms.ChoiceField(
        label="Language and region",
        choices=_CHOICES,
        help_text="Decides how numbers, amounts and days are written, and read where you enter them.",
        error_messages={
            "required": "Choose a language and region.",
            "invalid_choice": "Choose one of the languages and regions in the list.",
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.VIEWER)
def show(request: HttpRequest) -> HttpResponse:
    """Show the person's own settings, and write those that are sent: everyone may change their own."""
    shell = settings_shell(request)
    person = shell.person
    initial = {"name": person.name, "locale": person.locale}
    form = ProfileForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and is_saved(
        form, lambda values: operations.update_profile(user_id=person.id, **values, at=now())
    ):
        return see_other(request, reverse(_TAB), saying="Your settings are saved")
    return show_settings(
        request,
        "web/settings/profile.html",
        _TAB,
        shell=shell,
        status=422 if form.errors else 200,
        form=form,
        example=_EXAMPLE,
        today=local_date(now(), shell.tenant.time_zone),
    )

"""The pages of signing in, switching household and signing out."""

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from fatfire.web.access import begin_session, enter, has_console, person_of, to_sign_in
from fatfire.web.errors import error_page
from fatfire.web.networks import network_of
from services.accounts import sign_in as accounts
from tenants.isolation import OPERATOR_ALIAS


class EmailForm(forms.Form):
    """Where the link goes."""

    email = forms.EmailField(
        max_length=254,
        error_messages={
            "required": "Enter your e-mail address.",
            "invalid": "Enter an address such as alex@example.com.",
        },
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask_for_link(request: HttpRequest) -> HttpResponse:
    """Ask for the e-mail address, and have a link sent to it; whether it is anybody's can't be seen from the answer."""
    next_path = accounts.local_path(request.POST.get("next") or request.GET.get("next") or _home())
    if request.method != "POST":
        if person_of(request):
            return HttpResponseRedirect(next_path)
        return render(request, "web/sign_in.html", {"form": EmailForm(), "next": next_path})
    form = EmailForm(request.POST)
    if not form.is_valid():
        return render(request, "web/sign_in.html", {"form": form, "next": next_path}, status=422)
    email = form.cleaned_data["email"]
    accounts.request_sign_in(email=email, network=network_of(request), next_path=next_path, at=now())
    return render(request, "web/check_mail.html", {"email": email})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def use_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Show a button, and sign in when it is pressed: programs that scan mail open links, but press nothing."""
    if request.method != "POST":
        return render(request, "web/use_link.html")
    at = now()
    try:
        person = accounts.use_sign_in_token(secret=secret, at=at)
        if not person.tenant_ids and not has_console(person):
            message = "You are in no household yet: ask a member of one to invite you."
            raise accounts.NotAMember(message)
        tenant_id = person.tenant_ids[0] if person.tenant_ids else None
        if tenant_id:
            accounts.enter_tenant(user_id=person.user_id, tenant_id=tenant_id, action="sign_in", at=at)
            accounts.note_sign_in(user_id=person.user_id, tenant_id=tenant_id, languages=_languages(request), at=at)
    except (accounts.SignInLinkInvalid, accounts.NotAMember) as error:
        return error_page(
            request, status=error.status, title="You are not signed in", detail=error.detail, code=error.code
        )
    begin_session(request, user_id=person.user_id, tenant_id=tenant_id, session_hash=person.session_hash, at=at)
    return HttpResponseRedirect(person.next_path)


def _home() -> str:
    """Return where people go who ask for no page: on a host of the console's own, into the console."""
    is_consoles = settings.CONSOLE_URL != settings.SITE_URL and OPERATOR_ALIAS in settings.DATABASES
    return accounts.CONSOLE if is_consoles else "/"


def _languages(request: HttpRequest) -> list[str]:
    """Return the tags of the languages that the browser asks for, the best first."""
    return [tag for tag, _ in parse_accept_lang_header(request.headers.get("Accept-Language", ""))]


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session; with `everywhere`, all of the person's."""
    person = person_of(request)
    if person and request.POST.get("everywhere"):
        accounts.sign_out_everywhere(user_id=person.id)
    request.session.flush()
    return redirect("sign-in")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def switch_tenant(request: HttpRequest) -> HttpResponse:
    """List the person's households, and go to another."""
    person = person_of(request)
    if person is None:
        return to_sign_in(request)
    if request.method != "POST":
        return render(request, "web/switch_tenant.html", {"households": accounts.tenant_names(person.tenant_ids)})
    chosen = {str(each): each for each in person.tenant_ids}.get(request.POST.get("tenant", ""))
    if chosen is None:
        return _refused(request, accounts.NotAMember())
    accounts.enter_tenant(user_id=person.id, tenant_id=chosen, action="switch_tenant", at=now())
    enter(request, tenant_id=chosen)
    return redirect("dashboard")


def _refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    title = "You are not signed in" if isinstance(error, accounts.SignInLinkInvalid) else "This is not your household"
    return error_page(request, status=error.status, title=title, detail=error.detail, code=error.code)

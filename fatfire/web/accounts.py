"""The page of the bank accounts: by link, with what is going on there."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.timesince import timesince
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from fatfire.kit.clock import local_date, now
from fatfire.web.access import page
from fatfire.web.bank_jobs import KINDS, is_open, name_of, problem_of, toast_of, toasts_of
from fatfire.web.flash import see_other, take_flash
from fatfire.web.shell import Shell, shell_of
from fatfire.web.shell import show as show_page
from services.accounts.queries import principal_of
from services.core import operations as core_operations
from services.core import queries as core
from services.core.models import Asset, AssetKind
from services.integration import queries as integration
from services.integration.jobs import REMOVE_LINK
from services.integration.models import LeftOut, Link, LinkedAccount, LinkState
from services.jobs import queries as jobs
from services.jobs.models import Job
from tenants.permissions import Role, requires

CHANGED = "accounts-changed"
"""The event at which the page reads its accounts anew."""

_WAITS = dt.timedelta(hours=4)  # as long as the bank keeps its page open; older links that wait are not shown
_STALE_AFTER = dt.timedelta(days=2)
_KINDS = {
    AssetKind.BANK_ACCOUNT: "Bank account",
    AssetKind.CREDIT_CARD: "Credit card",
    AssetKind.LOAN: "Loan",
    AssetKind.SUPERANNUATION: "Superannuation",
    AssetKind.SHARE: "Shares and funds",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account that is counted: the asset that mirrors it (with `value` and `value_on`), its row and its kind."""

    asset: Asset
    row: LinkedAccount
    kind: str


@dataclass(frozen=True, slots=True)
class Bank:
    """A link and its accounts. `state`: importing, removing, unfinished, revoked, stale or active; `problem`: words.

    `twins` come through another link too and are counted there; `unclear` are left out until a person says in what
    currency they are. `read_on` is a day in the portfolio's time zone.
    """

    link: Link
    name: str
    state: str
    accounts: tuple[Account, ...]
    twins: tuple[LinkedAccount, ...]
    unclear: tuple[LinkedAccount, ...]
    problem: str
    read: str
    read_on: dt.date | None


class NameForm(forms.Form):
    """What the account is called here."""

    name = forms.CharField(
        max_length=120,
        error_messages={
            "required": "Enter a name, such as Everyday account.",
            "max_length": "Enter a name of at most 120 letters.",
        },
    )


class SeeOther(HttpResponseRedirect):
    """Answers a form: the browser gets the page named by the URL, and reloading it sends nothing twice."""

    status_code = 303

    def __init__(self, name: str) -> None:
        super().__init__(reverse(name))


@require_safe
@page
def show(request: HttpRequest) -> HttpResponse:
    """Show the banks, their accounts, and the jobs at work on them; htmx gets the banks alone."""
    return show_accounts(request)


def show_accounts(request: HttpRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    """Return the page, in the open scope, with a sentence on what didn't work."""
    shell = shell_of(request, "accounts")
    links, newest = _links(shell)
    banks = _banks(shell, links, newest)
    context = {
        "shell": shell,
        "banks": banks,
        "bank_count": len({bank.name for bank in banks if bank.accounts}),
        "account_count": sum(len(bank.accounts) for bank in banks),
        "toasts": toasts_of(links, newest),
        "may_write": principal_of(request).role.allows(Role.MEMBER),
        "problem": problem,
    }
    is_part = request.htmx and request.method == "GET"  # type: ignore[attr-defined]
    if not is_part:
        context["flash"] = take_flash(request)
    response = render(request, "web/accounts.html" + ("#banks" if is_part else ""), context, status=status)
    response["Vary"] = "HX-Request"
    return response


def show_toasts(request: HttpRequest) -> HttpResponse:
    """Return the toasts of all jobs at work, for htmx, and have the page read its accounts anew."""
    toasts = toasts_of(*_links(shell_of(request, "accounts")))
    response = render(request, "web/accounts.html#toasts", {"toasts": toasts})
    return trigger_client_event(response, CHANGED)


@require_safe
@page
def toast(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show how far the job is; once it has ended, the answer no longer asks for another."""
    job = jobs.get_job(job_id=job_id)
    if job.subject_id is None or job.kind not in KINDS:
        raise Http404
    link = integration.get_link(link_id=job.subject_id)
    shown = toast_of(job, link)
    response = render(request, "web/_toast.html", {"toast": shown})
    return response if shown.every_s else trigger_client_event(response, CHANGED)


@require_http_methods(["GET", "HEAD", "POST"])
@page
@requires(Role.MEMBER)
def rename(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """Ask for the account's name here, and give it that."""
    asset = core.get_asset(asset_id=asset_id)
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": asset.name})
    if form.is_valid():
        core_operations.rename_asset(asset_id=asset_id, name=form.cleaned_data["name"], at=now())
        return see_other(request, reverse("accounts"), saying="Name saved")
    response = show_page(
        request, "web/rename_account.html", shell_of(request, "accounts"), asset=asset, field=form["name"]
    )
    response.status_code = 422 if form.is_bound else 200
    return response


def _links(shell: Shell) -> tuple[list[Link], dict[UUID, Job]]:
    """Return the portfolio's links that are there, by institution, and the newest job of each."""
    if shell.portfolio is None:
        return [], {}
    found = integration.list_links().filter(portfolio_id=shell.portfolio.id).exclude(state=LinkState.REMOVED)
    waits_from = now() - _WAITS
    links = [
        link
        for link in found.defer("access_token", "link_token", "cursor").order_by("institution", "created_at", "id")
        if link.state != LinkState.PENDING or link.created_at > waits_from
    ]
    return links, jobs.newest_jobs(subject_ids=[link.id for link in links])


def _banks(shell: Shell, links: list[Link], newest: dict[UUID, Job]) -> list[Bank]:
    if shell.portfolio is None or not links:
        return []
    assets = core.list_assets(portfolio_id=shell.portfolio.id, with_closed=False).order_by("created_at", "id")
    values = {asset.id: asset for asset in assets}
    rows = defaultdict(list)
    for row in integration.list_linked_accounts(portfolio_id=shell.portfolio.id).order_by("name", "id"):
        rows[row.link_id].append(row)
    zone = shell.portfolio.time_zone
    return [_bank(link, newest.get(link.id), rows[link.id], values, zone) for link in links]


def _bank(link: Link, job: Job | None, rows: list[LinkedAccount], values: dict[UUID, Asset], zone: str) -> Bank:
    counted = [
        Account(asset, row, _KINDS.get(AssetKind(asset.kind), "Other"))
        for row in rows
        if row.asset_id and (asset := values.get(row.asset_id))
    ]
    state = _state(link, job)
    return Bank(
        link,
        name_of(link),
        state,
        tuple(sorted(counted, key=lambda each: (each.asset.created_at, each.asset.id))),
        twins=tuple(row for row in rows if row.left_out == LeftOut.TWIN),
        unclear=tuple(row for row in rows if row.left_out == LeftOut.CURRENCY),
        problem="" if state in {"importing", "removing"} or _says_it_all(state, job) else problem_of(job),
        read=_ago(link.synced_at),
        read_on=local_date(link.synced_at, zone) if link.synced_at else None,
    )


def _state(link: Link, job: Job | None) -> str:
    if job and is_open(job):
        return "removing" if job.kind == REMOVE_LINK.name else "importing"
    if link.state in {LinkState.PENDING, LinkState.REVOKED}:
        return "unfinished" if link.state == LinkState.PENDING else "revoked"
    return "stale" if (link.synced_at or link.created_at) < now() - _STALE_AFTER else "active"


def _says_it_all(state: str, job: Job | None) -> bool:
    """Return whether the link's state is what the job failed of; what the bank forgot needs more words than that."""
    return state == "revoked" and job is not None and job.error_code == "consent_revoked"


def _ago(moment: dt.datetime | None) -> str:
    """Return how long ago it was, in words; empty when never."""
    if moment is None:
        return ""
    at = now()
    return "just now" if at - moment < dt.timedelta(minutes=1) else f"{timesince(moment, at, depth=1)} ago"

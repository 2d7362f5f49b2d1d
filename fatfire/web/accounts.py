"""The page of the bank accounts: by link, with what is going on there."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.timesince import timesince
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from fatfire.kit.clock import now
from fatfire.web.access import page
from fatfire.web.shell import Shell, shell_of
from fatfire.web.shell import show as show_page
from services.accounts.queries import principal_of
from services.core import operations as core_operations
from services.core import queries as core
from services.core.models import Asset, AssetKind
from services.integration import queries as integration
from services.integration.jobs import REMOVE_LINK, SYNC_LINK
from services.integration.models import Link, LinkState
from services.jobs import queries as jobs
from services.jobs.models import Job, State
from tenants.permissions import Role, requires

CHANGED = "accounts-changed"
"""The event at which the page reads its accounts anew."""

_OPEN = (State.QUEUED, State.RUNNING)
_WAITS = dt.timedelta(hours=4)  # as long as the bank keeps its page open; older links that wait are not shown
_KINDS = {
    AssetKind.BANK_ACCOUNT: "Bank account",
    AssetKind.CREDIT_CARD: "Credit card",
    AssetKind.LOAN: "Loan",
    AssetKind.SUPERANNUATION: "Superannuation",
    AssetKind.SHARE: "Shares and funds",
}
_TITLES = {
    (SYNC_LINK.name, State.QUEUED): "Waiting to read",
    (SYNC_LINK.name, State.RUNNING): "Reading",
    (SYNC_LINK.name, State.SUCCEEDED): "Up to date",
    (SYNC_LINK.name, State.FAILED): "Not read",
    (SYNC_LINK.name, State.CANCELLED): "Reading was stopped",
    (REMOVE_LINK.name, State.QUEUED): "Waiting to remove",
    (REMOVE_LINK.name, State.RUNNING): "Removing",
    (REMOVE_LINK.name, State.SUCCEEDED): "Removed",
    (REMOVE_LINK.name, State.FAILED): "Not removed",
    (REMOVE_LINK.name, State.CANCELLED): "Removing was stopped",
}
_REASONS = {
    "consent_revoked": "The bank wants a new sign-in.",
    "item_gone": "The bank no longer knows this link.",
    "temporarily_unavailable": "The bank can't be reached at the moment. Try again later.",
}
_OTHER_REASON = "Something went wrong. Try again later."


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a bank: the asset that mirrors it (with `value` and `value_on`), its kind and number's end."""

    asset: Asset
    kind: str
    mask: str


@dataclass(frozen=True, slots=True)
class Bank:
    """A link and its accounts. `state`: importing, removing, unfinished, revoked or active; `problem`: a sentence."""

    link: Link
    name: str
    state: str
    accounts: tuple[Account, ...]
    problem: str
    read: str


@dataclass(frozen=True, slots=True)
class Toast:
    """What is told of a job: `every_s`, the seconds until the browser asks again, is None once it has ended."""

    job: Job
    title: str
    text: str
    tone: str
    every_s: int | None


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
    if job.subject_id is None or job.kind not in {SYNC_LINK.name, REMOVE_LINK.name}:
        raise Http404
    link = integration.get_link(link_id=job.subject_id)
    shown = _toast(job, link)
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
        return SeeOther("accounts")
    response = show_page(
        request, "web/rename_account.html", shell_of(request, "accounts"), asset=asset, field=form["name"]
    )
    response.status_code = 422 if form.is_bound else 200
    return response


def name_of(link: Link) -> str:
    """Return the bank's name; it is known from the first import on."""
    return link.institution or "New bank"


def toasts_of(links: Iterable[Link], newest: dict[UUID, Job]) -> list[Toast]:
    """Return what is told of the jobs at work on the links."""
    return [_toast(newest[link.id], link) for link in links if link.id in newest and newest[link.id].state in _OPEN]


def _toast(job: Job, link: Link) -> Toast:
    state = State(job.state)
    title = f"{_TITLES[job.kind, state]}: {name_of(link)}"
    if state in _OPEN:
        return Toast(job, title, job.progress_note, "", _every_s(job))
    if state == State.FAILED:
        return Toast(job, title, _reason(job), "loss", None)
    return Toast(job, title, job.progress_note if state == State.SUCCEEDED else "", "gain", None)


def _every_s(job: Job) -> int:
    """Return how long the browser waits before it asks again: the longer the job takes, the longer."""
    age_s = (now() - (job.started_at or job.created_at)).total_seconds()
    return 1 if age_s < 15 else 3 if age_s < 60 else 10


def _reason(job: Job) -> str:
    return _REASONS.get(job.error_code, _OTHER_REASON)


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
    linked = {each.asset_id: each for each in integration.list_linked_accounts(portfolio_id=shell.portfolio.id)}
    accounts = defaultdict(list)
    for asset in assets:
        if each := linked.get(asset.id):
            accounts[each.link_id].append(Account(asset, _KINDS.get(AssetKind(asset.kind), "Other"), each.mask))
    return [_bank(link, newest.get(link.id), tuple(accounts[link.id])) for link in links]


def _bank(link: Link, job: Job | None, accounts: tuple[Account, ...]) -> Bank:
    is_open = job is not None and job.state in _OPEN
    state = {LinkState.PENDING: "unfinished", LinkState.REVOKED: "revoked"}.get(LinkState(link.state), "active")
    if job and is_open:
        state = "removing" if job.kind == REMOVE_LINK.name else "importing"
    problem = ""
    if job and job.state == State.FAILED and state == "active":
        problem = f"{_TITLES[job.kind, State.FAILED]}: {_reason(job)}"
    return Bank(link, name_of(link), state, accounts, problem, _ago(link.synced_at))


def _ago(moment: dt.datetime | None) -> str:
    """Return how long ago it was, in words; empty when never."""
    if moment is None:
        return ""
    at = now()
    return "just now" if at - moment < dt.timedelta(minutes=1) else f"{timesince(moment, at, depth=1)} ago"

"""The page about what was done in the household, by whom and when: its audit trail in words."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from fatfire.kit.pagination import paginate
from fatfire.web.access import page
from fatfire.web.settings.tabs import settings_shell
from fatfire.web.settings.tabs import show as show_settings
from services.accounts import queries
from services.core import queries as core
from tenants.models import AuditEvent
from tenants.permissions import Role, requires

_TAB = "settings-activity"
_EVENTS_ON_A_PAGE = 30
_NOBODY = "fatfire"
"""Whose doing a job's or a command's is."""

_SENTENCES = {
    ("sign_in", "user"): "Signed in",
    ("switch_tenant", "user"): "Came over from another household",
    ("sign_out", "browser"): "Signed out",
    ("update", "profile"): "Changed their profile",
    ("update", "tenant"): "Changed the household",
    ("start", "link"): "Went to link a bank",
    ("complete", "link"): "Linked a bank",
    ("remove", "link"): "Removed a bank",
    ("value", "asset"): "Set the value of",
}
_VERBS = {"create": "Added", "update": "Changed"}
_SUBJECTS = {"api_key": "the API key"}
# Where the name of a subject can be looked up; it may have changed since.
_NAMED: dict[str, Callable[[], QuerySet[Any]]] = {
    "asset": core.list_assets,
    "portfolio": core.list_portfolios,
    "api_key": queries.list_api_keys,
}


@dataclass(frozen=True, slots=True)
class Row:
    """An event: who did what; `name` is what it was done to, where that has one."""

    event: AuditEvent
    who: str
    what: str
    name: str


@require_safe
@page
@requires(Role.ADMIN)
def show(request: HttpRequest) -> HttpResponse:
    """Show the events, newest first."""
    shell = settings_shell(request)
    found = paginate(
        queries.list_audit_events(), order=("-at", "-id"), cursor=request.GET.get("cursor"), limit=_EVENTS_ON_A_PAGE
    )
    return show_settings(
        request,
        "web/settings/activity.html",
        _TAB,
        shell=shell,
        rows=_rows(found.items),
        next_cursor=found.next_cursor,
    )


def _rows(events: Iterable[AuditEvent]) -> list[Row]:
    events = list(events)
    people = queries.names_of(user_ids=[each.actor_id for each in events if each.actor_id])
    names = _names(events)
    return [
        Row(
            event,
            people.get(event.actor_id, "Someone who is gone") if event.actor_id else _NOBODY,
            words_for(event.action, event.subject),
            str(event.details.get("name") or names.get(event.subject_id, "")),
        )
        for event in events
    ]


def _names(events: list[AuditEvent]) -> dict[UUID | None, str]:
    """Return what the subjects are called, by their ids; a query for each kind of subject there may be."""
    names: dict[UUID | None, str] = {}
    for subject, rows in _NAMED.items():
        ids = {each.subject_id for each in events if each.subject == subject}
        names |= dict(rows().filter(id__in=ids).values_list("id", "name"))
    return names


def words_for(action: str, subject: str) -> str:
    """Return what was done, in words. What has none of its own is told by the names of the action and the subject."""
    sentence = _SENTENCES.get((action, subject))
    if sentence:
        return sentence
    verb = _VERBS.get(action) or (action.removesuffix("e") + "ed").replace("_", " ").capitalize()
    return f"{verb} {_SUBJECTS.get(subject) or 'the ' + subject.replace('_', ' ')}"

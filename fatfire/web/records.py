"""What the pages of policies, receipts and tax years have in common: one record with its facts, a form, a deletion."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from fatfire.web.flash import see_other
from fatfire.web.forms import FormPage
from fatfire.web.shell import Shell, may_write, show, show_form
from fatfire.web.templatetags.money import day


@dataclass(frozen=True, slots=True)
class Line:
    """One fact: what it is called, and the text of it (empty: not known, and not shown)."""

    label: str
    text: str


def day_line(label: str, on: dt.date | None) -> Line:
    """Return the fact of a day, None where it isn't known."""
    return Line(label, "" if on is None else day(on))


@dataclass(frozen=True, slots=True)
class RecordPage:
    """What a page says of one record. `noun` is what the record is called in the names of its URLs: "policy"."""

    noun: str
    id: UUID
    title: str
    sentence: str
    list_label: str
    lines: tuple[Line, ...]

    @property
    def edit_path(self) -> str:
        """Where it is changed."""
        return reverse(f"edit-{self.noun}", args=[self.id])

    @property
    def delete_path(self) -> str:
        """Where it is deleted."""
        return reverse(f"delete-{self.noun}", args=[self.id])


def show_record(request: HttpRequest, shell: Shell, record: RecordPage, **more: Any) -> HttpResponse:
    """Show the record's facts, and to whom may change it how; `more` is for what else the page shows."""
    return show(request, "web/record.html", shell, record=record, may_write=may_write(request), **more)


def ask_and_delete(
    request: HttpRequest, shell: Shell, record: RecordPage, delete: Callable[[], None], *, warning: str
) -> HttpResponse:
    """Ask whether the record is to be deleted; asked by POST, delete it and go to the list."""
    if request.method == "POST":
        delete()
        return see_other(request, reverse(shell.active), saying=f"{record.title} deleted")
    words = FormPage(
        f"Delete {record.title}?", warning, "Delete it", reverse(record.noun, args=[record.id]), is_danger=True
    )
    return show_form(request, shell, forms.Form(), words)

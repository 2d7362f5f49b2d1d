"""The console's search: by the start of a name or address, or by an id from a log or a person's screen."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from tenants.models import Tenant, User

MOST = 10


def find(request: HttpRequest, term: str) -> list[Any]:
    """Return the tenants and people that match, MOST of each at most; for a whole id, whatever has it."""
    try:
        return _by_id(request, UUID(term.strip()))
    except ValueError:
        pass
    tenants = Tenant.objects.filter(Q(name__icontains=term) | Q(slug__icontains=term)).order_by("name", "id")[:MOST]
    people = User.objects.filter(Q(email__icontains=term) | Q(name__icontains=term)).order_by("email", "id")[:MOST]
    return [*(_result(each, "domain") for each in tenants), *(_result(each, "person") for each in people)]


def _by_id(request: HttpRequest, wanted: UUID) -> list[Any]:
    """Return every row that has the id; one query for each kind of row, each by its primary key."""
    found = []
    for model, model_admin in admin.site._registry.items():
        if model._meta.pk.get_internal_type() == "UUIDField":
            found += [_result(row, "data_object") for row in model_admin.get_queryset(request).filter(pk=wanted)]
    return found


def _result(row: Any, icon: str) -> Any:
    meta = row._meta
    link = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return SearchResult(title=str(row), description=meta.verbose_name.capitalize(), link=link, icon=icon)

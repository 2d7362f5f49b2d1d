"""Every page of rows in the console, found by itself: it shows, names its tenant, tells no secret, asks once.

A model that is registered and has no row here or in the rows of the tenancy guard fails.
"""

import itertools
import re
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import checks
from django.db import connections
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fatfire.console import theme, urls
from services.accounts.models import SignInToken
from services.core.models import Asset
from services.insurance.models import Policy
from services.integration.admin import LinkedAccountAdmin
from services.integration.models import LinkedAccount
from services.media.models import Allowance
from services.receipts.models import Receipt
from services.tax.models import TaxYear
from tenants.admin import ConsoleAdmin, TenantRowAdmin, secret_fields
from tenants.isolation import operator, tenant
from tenants.models import Membership, Tenant, TenantModel, User
from tenants.permissions import Role
from tests.factories import AT, make_tenant
from tests.tenants.rows import row_of

MOST_QUERIES = 16
"""Of one page, with the session, the invocation, and the BEGIN and COMMIT of their three transactions."""

assert urls.urlpatterns  # importing them registered everything
MODELS = list(site._registry)
every_model = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
_numbers = itertools.count(1)


def _user() -> User:
    return User.objects.create(email=f"person-{next(_numbers)}@many.example", created_at=AT)


def _log_entry() -> LogEntry:
    content_type = ContentType.objects.get_for_model(Tenant)
    return LogEntry.objects.create(user=_user(), content_type=content_type, object_repr="x", action_flag=CHANGE)


def _token() -> SignInToken:
    digest = b"%032d" % next(_numbers)
    return SignInToken.objects.create(user=_user(), digest=digest, created_at=AT, expires_at=AT)


BY_OPERATOR: dict[type[Model], Callable[[Tenant], Model]] = {
    Tenant: lambda _: Tenant.objects.create(
        name="Many", slug=f"many-{next(_numbers)}", home_currency="AUD", time_zone="UTC", country="AU"
    ),
    User: lambda _: _user(),
    Membership: lambda home: Membership.objects.create(tenant=home, user=_user(), role=Role.VIEWER),
    LogEntry: lambda _: _log_entry(),
    SignInToken: lambda _: _token(),
}


def add_row(model: type[Model], home: Tenant) -> Model:
    if model in BY_OPERATOR:
        with operator():
            return BY_OPERATOR[model](home)
    with tenant(home.id):
        return row_of(model._meta.label)


def url(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def ask(client: Client, path: str) -> tuple[str, list[str]]:
    """Return what the page says and the queries that it took, on all connections."""
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode(), [query["sql"] for each in captured for query in each]


def check_list(client: Client, model: type[Model], home: Tenant) -> None:
    """Fail when the list lacks a row, tells a secret, or takes more queries for more rows."""
    counted = []
    for added in (1, 2):
        for _ in range(added):
            add_row(model, home)
        with operator():
            links = {url(model, "change", pk) for pk in model.objects.values_list("pk", flat=True)}
        page, queries = ask(client, url(model, "changelist"))
        assert {link for link in links if link not in page} == set()
        check_no_secret(queries)
        counted.append(queries)
    assert len(counted[0]) == len(counted[1]), counted[1]
    assert len(counted[0]) <= MOST_QUERIES, counted[0]


def check_no_secret(queries: list[str]) -> None:
    """Fail when a query reads a secret column of any model."""
    columns = {(each._meta.db_table, field) for each in MODELS for field in secret_fields(each)}
    assert columns, "no model has a secret column: nothing was checked"
    found = [(name, sql) for name in columns for sql in queries if f'"{name[0]}"."{name[1]}"' in sql]
    assert found == []


@every_model
def test_list_asks_no_more_for_more_rows(client, home, model):
    check_list(client, model, home)


@every_model
def test_row_is_shown_without_secrets(client, home, model):
    row = add_row(model, home)

    page, queries = ask(client, url(model, "change", row.pk))

    assert str(row.pk) in page or str(row) in page
    check_no_secret(queries)


@every_model
def test_list_names_the_tenant_and_filters_by_it(client, home, model):
    if not issubclass(model, TenantModel):
        return
    other = make_tenant(slug="elsewhere")
    add_row(model, home)
    add_row(model, other)

    page, _ = ask(client, f"{url(model, 'changelist')}?tenant__id__exact={home.id}")

    table = page[page.index('id="result_list"') :]
    assert ">Home<" in re.sub(r"\s+", "", table)
    assert ">Elsewhere<" not in re.sub(r"\s+", "", table)


def test_there_are_tenants_rows_to_name():
    assert sum(issubclass(model, TenantModel) for model in MODELS) >= 10


@every_model
def test_only_what_may_be_written_has_a_form(client, home, model):
    model_admin, row = site._registry[model], add_row(model, home)
    records = {Allowance, Policy, Receipt, TaxYear}
    may_add = model in {User, Membership, *records}
    may_change = model in {Tenant, User, Membership, *records}

    assert client.get(url(model, "add")).status_code == (200 if may_add else 403)
    assert ('name="_save"' in ask(client, url(model, "change", row.pk))[0]) == may_change
    refused = 302 if model is Allowance else 200  # of which everything may be left out
    assert client.post(url(model, "change", row.pk), {}).status_code == (refused if may_change else 403)
    assert client.get(url(model, "delete", row.pk)).status_code == 403
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model_admin.get_actions(_request()) == {}
    with operator():
        assert model.objects.filter(pk=row.pk).exists()


@every_model
def test_no_field_is_secret(model):
    model_admin = site._registry[model]
    named = {
        *model_admin.get_fields(_request()),
        *model_admin.get_list_display(_request()),
        *model_admin.get_search_fields(_request()),
        *model_admin.get_readonly_fields(_request()),
        *(
            each if isinstance(each, str) else each[0]
            for each in model_admin.list_filter
            if isinstance(each, (str, tuple))
        ),
    }

    assert named & set(secret_fields(model)) == set()
    assert isinstance(model_admin, ConsoleAdmin)


def _request():
    request = RequestFactory().get("/admin/")
    request.user = User(is_operator=True)
    return request


def test_nobody_else_is_served_by_the_pages_themselves():
    request = _request()
    request.user = User(is_operator=False)

    assert not any(each.has_view_permission(request) for each in site._registry.values())
    assert not any(each.has_module_permission(request) for each in site._registry.values())


def test_menu_leads_to_every_list():
    menu = {
        str(item["link"])
        for group in theme.settings(environment="x")["SIDEBAR"]["navigation"]
        for item in group["items"]
    }

    assert menu == {"/admin/", "/admin/rates/", "/admin/dead-letters/", *(url(model, "changelist") for model in MODELS)}


def test_django_finds_nothing_wrong():
    assert [each for each in checks.run_checks() if each.is_serious() and not each.is_silenced()] == []


def test_search_finds_people_and_households_by_name_and_anything_by_id(client, home):
    row = add_row(Asset, home)

    assert url(Tenant, "change", home.id) in client.get("/admin/search/?s=hom").content.decode()
    assert "owner@home.example" in client.get("/admin/search/?s=owner@home").content.decode()
    page, queries = ask(client, f"/admin/search/?s={row.id}")
    assert url(Asset, "change", row.id) in page
    check_no_secret(queries)
    assert client.get("/admin/search/?s=").content == b""


def test_tenants_are_searched_by_operators_only(client, member, home):
    path = "/admin/autocomplete/?app_label=core&model_name=asset&field_name=tenant&term=ho"

    assert client.get(path).json()["results"] == [{"id": str(home.id), "text": "home"}]
    assert member.get(path).status_code == 404


def test_history_of_a_row_is_shown(client, home):
    assert client.get(url(Tenant, "history", home.id)).status_code == 200


@pytest.mark.parametrize("query", ["tenant__id__exact=x", "state__exact=nowhere", "created_at_from_0=x", "p=x", "o=99"])
def test_nonsense_in_an_address_is_no_fault(client, home, query):
    assert client.get(f"/admin/jobs/job/?{query}").status_code in {200, 302}


def test_unknown_row_is_not_found(client, home):
    unknown = UUID(int=9)

    assert client.get(url(Asset, "change", unknown)).status_code == 302  # to the dashboard, which says so
    assert client.get(f"/admin/jobs/job/{unknown}/retry/").status_code == 404


# Planted faults: each must be found.


def test_query_per_row_is_found(client, home, monkeypatch):
    def count_all(model_admin: TenantRowAdmin, asset: Asset) -> int:
        return Asset.objects.filter(portfolio_id=asset.portfolio_id).count()

    monkeypatch.setattr(TenantRowAdmin, "tenant_name", count_all)

    with pytest.raises(AssertionError, match="SELECT lookup"):
        check_list(client, Asset, home)


def test_secret_of_a_related_row_is_found(client, home, monkeypatch):
    monkeypatch.setattr(LinkedAccountAdmin, "get_queryset", lambda self, _: self.model.objects.select_related("link"))

    with pytest.raises(AssertionError, match="_token"):
        check_list(client, LinkedAccount, home)


def test_row_of_an_unknown_model_is_asked_for(home):
    with tenant(home.id), pytest.raises(LookupError, match=r"no row for pets\.Pet"):
        row_of("pets.Pet")

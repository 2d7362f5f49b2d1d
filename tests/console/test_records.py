"""Policies, receipts and tax years in the console: added and changed for a tenant, by the operations, or not at all."""

import pytest
from django.contrib import admin

from services.insurance.models import Policy
from services.media.models import Allowance
from services.receipts.models import Receipt
from services.tax.models import TaxYear
from tenants import isolation
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent, Tenant
from tenants.writable_admin import WritableAdmin
from tests.factories import make_asset, make_portfolio, make_tenant
from tests.services.insurance.rows import make_policy
from tests.services.receipts.rows import make_receipt
from tests.services.tax.rows import make_tax_year

POLICY = {
    "kind": "home", "insurer": "Coastal Mutual", "number": "H-1", "currency": "AUD", "premium": "118.40",
    "premium_frequency": "monthly", "starts_on": "2026-03-01",
}  # fmt: skip
RECEIPT = {"merchant": "Tool Shed", "purchased_on": "2026-03-01", "currency": "AUD", "total": "12.50"}
TAX_YEAR = {"person_name": "Alex", "jurisdiction": "AU", "starts_in": "2025", "lodged_on": "2026-08-03"}


@pytest.fixture
def portfolio(home):
    with tenant(home.id):
        return make_portfolio()


def owners(home, portfolio):
    """Return each page with a form that is accepted, and the model."""
    return [
        ("/admin/insurance/policy/", POLICY | {"portfolio": portfolio.id}, Policy),
        ("/admin/receipts/receipt/", RECEIPT | {"portfolio": portfolio.id}, Receipt),
        ("/admin/tax/taxyear/", TAX_YEAR | {"household": home.id}, TaxYear),
    ]


def test_these_are_all_that_may_be_written(client):
    assert client.get("/admin/").status_code == 200
    assert {model for model, each in admin.site._registry.items() if isinstance(each, WritableAdmin)} == {
        Allowance, Policy, Receipt, TaxYear,
    }  # fmt: skip


def test_row_is_added_and_changed_for_its_tenant(client, ada, home, portfolio):
    for path, said, model in owners(home, portfolio):
        assert client.get(f"{path}add/").status_code == 200
        added = client.post(f"{path}add/", said)
        assert (added.status_code, added.headers.get("Location")) == (302, path)
        with operator():
            row = model.objects.get()
        assert row.tenant_id == home.id

        assert client.get(f"{path}{row.id}/change/").status_code == 200
        changed = client.post(f"{path}{row.id}/change/", said | {"note": "Seen to"})
        assert (changed.status_code, changed.headers.get("Location")) == (302, path)

        with tenant(home.id):
            assert model.objects.get().note == "Seen to"
            events = AuditEvent.objects.filter(subject_id=row.id).order_by("at").values_list("action", "actor_id")
            assert list(events) == [("create", ada.id), ("update", ada.id)]
        listed = client.get(path).content.decode()
        assert str(row.id) in listed
        assert home.name in listed


REFUSED = [
    ("insurance/policy", POLICY | {"premium": "-1"}, "Zero or more."),
    ("insurance/policy", POLICY | {"premium": "1.005"}, "AUD has 2 decimals."),
    ("insurance/policy", POLICY | {"currency": "XXX"}, "is not a currency code"),
    ("insurance/policy", POLICY | {"ends_on": "2026-02-28"}, "Not before the first day of cover."),
    ("receipts/receipt", RECEIPT | {"total": "0"}, "More than zero."),
    ("receipts/receipt", RECEIPT | {"purchased_on": "2999-01-01"}, "A day between"),
    ("tax/taxyear", TAX_YEAR | {"assessed_on": "2026-08-02"}, "Not before the return was lodged."),
    ("tax/taxyear", TAX_YEAR | {"household": ""}, "This field is required."),
]


@pytest.mark.parametrize(("place", "said", "words"), REFUSED)
def test_refusal_is_said_and_changes_nothing(client, home, portfolio, place, said, words):
    owner = {"portfolio": portfolio.id} if place != "tax/taxyear" else {"household": home.id}

    answer = client.post(f"/admin/{place}/add/", owner | said)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    with operator():
        assert [model.objects.count() for model in (Policy, Receipt, TaxYear)] == [0, 0, 0]


def test_number_that_is_taken_is_said(client, home, portfolio):
    with tenant(home.id):
        make_policy(portfolio, number="H-1")

    answer = client.post("/admin/insurance/policy/add/", POLICY | {"portfolio": portfolio.id})

    assert "Another policy of this insurer has this number." in answer.content.decode()
    with operator():
        assert Policy.objects.count() == 1


def test_rows_of_two_tenants_never_meet(client, home, portfolio):
    other = make_tenant()
    with tenant(other.id):
        theirs = make_asset(make_portfolio())
    with tenant(home.id):
        policy, receipt = make_policy(portfolio), make_receipt(portfolio)

    for said in ({"portfolio": portfolio.id, "asset": theirs.id}, {"portfolio": theirs.portfolio_id}):
        answer = client.post(f"/admin/insurance/policy/{policy.id}/change/", POLICY | said)
        assert "belong together" in answer.content.decode()
    answer = client.post(f"/admin/receipts/receipt/{receipt.id}/change/", RECEIPT | {"portfolio": theirs.portfolio_id})
    assert "belong together" in answer.content.decode()
    with tenant(home.id):
        assert (Policy.objects.get(), Receipt.objects.get()) == (policy, receipt)
        assert Policy.objects.get().portfolio_id == portfolio.id


def test_tax_year_stays_with_its_tenant(client, home):
    with tenant(home.id):
        year = make_tax_year()

    client.post(f"/admin/tax/taxyear/{year.id}/change/", TAX_YEAR | {"household": make_tenant().id, "assessment": ""})

    with operator():
        assert list(TaxYear.objects.values_list("tenant_id", "person_name")) == [(home.id, "Alex")]


def test_nothing_is_deleted_here(client, home, portfolio):
    with tenant(home.id):
        policy = make_policy(portfolio)

    assert client.post(f"/admin/insurance/policy/{policy.id}/delete/", {"post": "yes"}).status_code == 403
    with operator():
        assert Policy.objects.count() == 1


def test_member_writes_nothing_here(member, home, portfolio):
    for path, said, _ in owners(home, portfolio):
        assert member.post(f"{path}add/", said).status_code == 404


def test_tenant_beside_operator_sees_its_own_and_commits(database):
    one, two = make_tenant(), make_tenant()

    with operator():
        with isolation.tenant_beside_operator(one.id):
            make_tax_year(person_name="Alex", assessment=None)
            assert Tenant.objects.count() == 1
        assert TaxYear.objects.get().tenant_id == one.id
        assert Tenant.objects.count() == 2
        with pytest.raises(RuntimeError, match="undo"):
            _write_and_fail(two)
        assert TaxYear.objects.count() == 1


def _write_and_fail(owner):
    with isolation.tenant_beside_operator(owner.id):
        make_tax_year()
        raise RuntimeError("undo")


def test_tenant_beside_operator_needs_an_operator(database):
    one = make_tenant()

    with pytest.raises(isolation.ScopeConflict), isolation.tenant_beside_operator(one.id):
        pass
    with tenant(one.id), pytest.raises(isolation.ScopeConflict), isolation.tenant_beside_operator(one.id):
        pass

"""The pages of policies, receipts and tax years, without a browser."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Model

from fatfire.kit.clock import local_date, now
from services.core.models import AssetKind, Portfolio
from services.insurance.models import Policy, PolicyKind, PremiumFrequency
from services.receipts.models import Receipt
from services.tax.models import Jurisdiction, TaxYear
from tenants.isolation import tenant
from tenants.permissions import Role
from tests.factories import make_asset, make_portfolio, make_tenant, make_transaction
from tests.services.insurance.rows import make_policy
from tests.services.receipts.rows import make_receipt
from tests.services.tax.rows import make_tax_year
from tests.web.test_portfolios_page import become, errors_in, query_count

DAY = dt.date(2026, 3, 31)
AMOUNT = "Enter an amount such as 1,234.50, with commas only between thousands."
NO_DAY = "Enter a day such as 2026-03-31 (year, month, day)."
TAKEN = "Another policy of this insurer has this number."
NOT_LODGED = "Say on which day it was lodged: that comes before the assessment."
CURRENCY = "Enter the three letters of a currency, such as AUD or USD."


@dataclass(frozen=True)
class Kind:
    """One kind of record: its pages, how to make one, and a form that is accepted."""

    path: str
    model: type[Model]
    make: Callable[[Portfolio], Any]
    good: dict[str, str]
    saved: str


POLICY = Kind(
    "/insurance",
    Policy,
    make_policy,
    {
        "kind": "health", "insurer": "Southern Health", "currency": "aud", "premium": "$219.85",
        "premium_frequency": "fortnightly", "starts_on": "2026-03-31", "renews_automatically": "no",
    },
    "Policy",
)  # fmt: skip
RECEIPT = Kind(
    "/receipts",
    Receipt,
    make_receipt,
    {"merchant": "Tool Shed", "purchased_on": "2026-03-31", "currency": "AUD", "total": "1,089.00"},
    "Receipt",
)
TAX_YEAR = Kind(
    "/tax",
    TaxYear,
    lambda portfolio: make_tax_year(),
    {"person_name": "Alex Harper", "year": "AU-2025", "result": "refund"},
    "Tax year",
)
KINDS = [POLICY, RECEIPT, TAX_YEAR]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[each.path for each in KINDS])


@pytest.fixture
def portfolio(home):
    with tenant(home.id):
        return make_portfolio(name="Family")


def rows_of(home, kind):
    with tenant(home.id):
        return list(kind.model.objects.order_by("id").values())


def only(home, kind):
    with tenant(home.id):
        return kind.model.objects.get()


def test_policy_is_added_with_all_that_is_said(home, client, portfolio):
    with tenant(home.id):
        house = make_asset(portfolio, name="House", kind=AssetKind.PROPERTY)
    said = {
        "kind": "home", "insurer": "Coastal Mutual", "number": "H-1", "asset_id": str(house.id), "person_name": "Alex",
        "currency": "AUD", "premium": "1,250.75", "premium_frequency": "yearly", "sum_insured": "$850,000",
        "excess": "500", "starts_on": "2026-03-31", "ends_on": "2027-03-30", "renews_automatically": "yes", "note": "x",
    }  # fmt: skip

    response = client.post("/insurance/new", said)

    policy = only(home, POLICY)
    assert (response.status_code, response.headers["Location"]) == (303, f"/insurance/{policy.id}")
    assert (policy.kind, policy.asset_id, policy.premium, policy.premium_frequency, policy.sum_insured) == (
        PolicyKind.HOME, house.id, Decimal("1250.75"), PremiumFrequency.YEARLY, Decimal(850000),
    )  # fmt: skip
    assert (policy.excess, policy.starts_on, policy.ends_on, policy.renews_automatically, policy.cancelled_on) == (
        Decimal(500), DAY, dt.date(2027, 3, 30), True, None,
    )  # fmt: skip
    page = client.get(f"/insurance/{policy.id}").content.decode()
    assert all(words in page for words in ("Policy added", "Renews on", "30 Mar 2027", "House", "$1,250.75, yearly"))
    listed = client.get("/insurance").content.decode()
    assert "renews on 30 Mar 2027" in listed
    assert listed.count('$1,250<span class="cents">.75</span>') == 2  # its own, and the year of all


def test_policies_not_in_force_cost_nothing(home, client, portfolio):
    with tenant(home.id):
        make_policy(portfolio, starts_on=DAY, cancelled_on=DAY)

    page = client.get("/insurance").content.decode()

    assert "cancelled on 31 Mar 2026" in page
    assert "Not in force" in page
    assert "A year of premiums" not in page


def test_receipt_is_added_and_linked_to_its_payment(home, client, portfolio):
    with tenant(home.id):
        asset = make_asset(portfolio)
        taken = make_transaction(asset, amount="-5.00")
        make_receipt(portfolio, transaction_id=taken.id, category="Garden")
        payment = make_transaction(asset, amount="-1089.00")
        income = make_transaction(asset, amount="1089.00")
    form = client.get("/receipts/new").content.decode()
    assert f'<option value="{payment.id}">23 Nov 2026 · Groceries · $1,089.00</option>' in form
    assert not any(str(each.id) in form for each in (taken, income))
    assert '<option value="Garden"></option>' in form
    said = {"tax_included": "99.00", "category": "Tools", "transaction_id": str(payment.id)}

    response = client.post("/receipts/new", RECEIPT.good | said | {"warranty_until": "2028-03-31"})

    with tenant(home.id):
        receipt = Receipt.objects.get(merchant="Tool Shed", category="Tools")
    assert (response.status_code, response.headers["Location"]) == (303, f"/receipts/{receipt.id}")
    assert (receipt.total, receipt.tax_included, receipt.transaction_id) == (
        Decimal(1089), Decimal(99), payment.id,
    )  # fmt: skip
    page = client.get(f"/receipts/{receipt.id}").content.decode()
    assert all(words in page for words in ("Receipt added", "Groceries", "Warranty until", "31 Mar 2028"))
    assert "Tools · linked" in client.get("/receipts").content.decode()


def test_payment_stays_linked_when_its_receipt_is_edited(home, client, portfolio):
    with tenant(home.id):
        payment = make_transaction(make_asset(portfolio), on=DAY - dt.timedelta(days=90))  # not around the purchase
        receipt = make_receipt(portfolio, purchased_on=DAY, transaction_id=payment.id)
    form = client.get(f"/receipts/{receipt.id}/edit").content.decode()
    assert f'<option value="{payment.id}" selected>' in form

    client.post(f"/receipts/{receipt.id}/edit", RECEIPT.good | {"transaction_id": str(payment.id)})
    assert only(home, RECEIPT).transaction_id == payment.id
    client.post(f"/receipts/{receipt.id}/edit", RECEIPT.good)
    assert only(home, RECEIPT).transaction_id is None


RESULTS = [
    ("refund", "312.55", "312.55", "refund"),
    ("owed", "312.55", "-312.55", "payable"),
    ("owed", "0", "0", "due"),
]


@pytest.mark.parametrize(("result", "typed", "stored", "word"), RESULTS)
def test_result_of_a_tax_year_has_a_sign(home, client, result, typed, stored, word):
    said = {"lodged_on": "2026-08-03", "assessed_on": "2026-08-20", "result": result, "assessment": typed}

    client.post("/tax/new", TAX_YEAR.good | said)

    year = only(home, TAX_YEAR)
    assert (year.jurisdiction, year.starts_in, year.assessment) == (Jurisdiction.AU, 2025, Decimal(stored))
    listed = client.get("/tax").content.decode()
    assert "assessed on 20 Aug 2026" in listed
    assert word in listed
    form = client.get(f"/tax/{year.id}/edit").content.decode()
    assert f'value="{"refund" if stored == "0" else result}" selected' in form


def test_years_to_choose_from_end_with_the_one_that_runs(client):
    form = client.get("/tax/new").content.decode()

    today = local_date(now(), "Australia/Sydney")
    begun = today.year if today.month >= 7 else today.year - 1
    first, *_ = form.split('<optgroup label="Australia">')[1].split("</option>")
    assert f'value="AU-{begun}"' in first
    assert f'value="AU-{begun + 1}"' not in form
    assert form.index("Australia") < form.index("United States")  # the household's own country first


def test_old_tax_year_can_be_edited(home, client):
    with tenant(home.id):
        year = make_tax_year(starts_in=1999, person_name="Alex Harper")

    assert '<option value="AU-1999" selected>' in client.get(f"/tax/{year.id}/edit").content.decode()
    assert client.post(f"/tax/{year.id}/edit", TAX_YEAR.good | {"year": "AU-1999", "note": "x"}).status_code == 303
    assert (only(home, TAX_YEAR).starts_in, only(home, TAX_YEAR).note) == (1999, "x")


REFUSED = [
    # what is typed instead, field, words
    (POLICY, {"kind": ""}, "kind", "Choose one of the list."),
    (POLICY, {"kind": "pets"}, "kind", "Choose one of the list."),
    (POLICY, {"insurer": " "}, "insurer", "Enter the insurer&#x27;s name."),
    (POLICY, {"number": "n" * 61}, "number", "At most 60 characters; this has 61."),
    (POLICY, {"number": "h-1", "insurer": "coastal MUTUAL"}, "number", TAKEN),
    (POLICY, {"asset_id": "67e55044-10b1-426f-9247-bb680e5fe0c8"}, "asset_id", "Choose one of the list."),
    (POLICY, {"currency": "dollars"}, "currency", CURRENCY),
    (POLICY, {"premium": ""}, "premium", "Enter an amount such as 1,234.50."),
    (POLICY, {"premium": "12,40o"}, "premium", AMOUNT),
    (POLICY, {"premium": "1.005"}, "premium", "AUD has 2 decimals."),
    (POLICY, {"sum_insured": "0"}, "sum_insured", "More than zero; leave it out where there is none."),
    (POLICY, {"excess": "-5"}, "excess", "Leave out the minus: enter an amount such as 1,234.50."),
    (POLICY, {"starts_on": ""}, "starts_on", NO_DAY),
    (POLICY, {"ends_on": "2026-03-30"}, "ends_on", "Not before the first day of cover."),
    (POLICY, {"renews_automatically": "yes"}, "ends_on", "Say on which day it renews."),
    (RECEIPT, {"merchant": ""}, "merchant", "Enter the merchant&#x27;s name."),
    (RECEIPT, {"purchased_on": "2999-01-01"}, "purchased_on", None),
    (RECEIPT, {"total": "0"}, "total", "More than zero."),
    (RECEIPT, {"total": "lots"}, "total", AMOUNT),
    (RECEIPT, {"tax_included": "1,089.01"}, "tax_included", "From zero to the total."),
    (RECEIPT, {"warranty_until": "2026-03-30"}, "warranty_until", "Not before the day of the purchase."),
    (RECEIPT, {"transaction_id": "x"}, "transaction_id", "Choose one of the list."),
    (TAX_YEAR, {"person_name": ""}, "person_name", "Enter the person&#x27;s name."),
    (TAX_YEAR, {"person_name": "ALEX"}, "year", "This person has this tax year already."),
    (TAX_YEAR, {"year": "ZZ-2025"}, "year", "Choose one of the list."),
    (TAX_YEAR, {"lodged_on": "2024-12-31"}, "lodged_on", "Not before the tax year begins."),
    (TAX_YEAR, {"assessed_on": "2026-08-20"}, "lodged_on", NOT_LODGED),
    (TAX_YEAR, {"assessment": "5"}, "assessed_on", "Say on which day it was assessed."),
    (TAX_YEAR, {"assessment": "5,"}, "assessment", AMOUNT),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "typed", "field", "words"), REFUSED)
def test_refusal_stands_beside_the_field_and_changes_nothing(home, client, portfolio, kind, typed, field, words):
    with tenant(home.id):
        make_policy(portfolio, number="H-1")
        make_tax_year(person_name="Alex")
        row = make_tax_year(person_name="Sam") if kind is TAX_YEAR else kind.make(portfolio)
    before = rows_of(home, kind)

    for path in (f"{kind.path}/new", f"{kind.path}/{row.id}/edit"):
        response = client.post(path, kind.good | typed)

        errors = errors_in(response)
        assert response.status_code == 422
        assert errors == {field: words} if words else list(errors) == [field]
    assert rows_of(home, kind) == before


@every_kind
def test_record_is_edited(home, client, portfolio, kind):
    with tenant(home.id):
        row = kind.make(portfolio)
    filled = client.get(f"{kind.path}/{row.id}/edit")
    assert filled.status_code == 200

    response = client.post(f"{kind.path}/{row.id}/edit", kind.good | {"note": "Kept"})

    assert (response.status_code, response.headers["Location"]) == (303, f"{kind.path}/{row.id}")
    page = client.get(f"{kind.path}/{row.id}").content.decode()
    assert f"{kind.saved} saved" in page
    assert "<td>Kept</td>" in page


@every_kind
def test_deleting_asks_first(home, client, portfolio, kind):
    with tenant(home.id):
        row = kind.make(portfolio)
    assert f"{kind.path}/{row.id}/delete" in client.get(f"{kind.path}/{row.id}").content.decode()
    asked = client.get(f"{kind.path}/{row.id}/delete").content.decode()
    assert all(words in asked for words in ("Delete ", "Delete it", "Cancel"))
    assert len(rows_of(home, kind)) == 1

    response = client.post(f"{kind.path}/{row.id}/delete")

    assert (response.status_code, response.headers["Location"]) == (303, kind.path)
    assert rows_of(home, kind) == []
    assert "deleted" in client.get(kind.path).content.decode()
    assert client.post(f"{kind.path}/{row.id}/delete").status_code == 404


ROUTES = ["", "/edit", "/delete"]


@every_kind
@pytest.mark.parametrize("route", ROUTES)
def test_record_of_another_tenant_is_nowhere(client, kind, route):
    other = make_tenant()
    with tenant(other.id):
        url = f"{kind.path}/{kind.make(make_portfolio()).id}{route}"
    before = rows_of(other, kind)

    assert client.get(url).status_code == 404
    assert client.post(url, kind.good).status_code == (404 if route else 405)
    assert rows_of(other, kind) == before


@every_kind
def test_viewer_reads_only(home, client, portfolio, kind):
    with tenant(home.id):
        row = kind.make(portfolio)
    before = rows_of(home, kind)
    become(home, Role.VIEWER)

    for path in (kind.path, f"{kind.path}/{row.id}"):
        main = client.get(path).content.decode().split("<main")[1]
        assert all(word not in main for word in ("<form", "/new", "/edit", "/delete"))
    for route in ("/new", f"/{row.id}/edit", f"/{row.id}/delete"):
        assert client.get(kind.path + route).status_code == 403
        assert client.post(kind.path + route, kind.good).status_code == 403
    assert rows_of(home, kind) == before


EMPTY = [
    # has a portfolio, role, kind, link to the next step
    (False, Role.OWNER, POLICY, "/portfolios/new"),
    (False, Role.OWNER, RECEIPT, "/portfolios/new"),
    (False, Role.OWNER, TAX_YEAR, "/tax/new"),
    (True, Role.MEMBER, POLICY, "/insurance/new"),
    (True, Role.MEMBER, RECEIPT, "/receipts/new"),
    (False, Role.VIEWER, POLICY, None),
    (True, Role.VIEWER, POLICY, None),
    (True, Role.VIEWER, RECEIPT, None),
    (False, Role.VIEWER, TAX_YEAR, None),
]


@pytest.mark.parametrize(("has_portfolio", "role", "kind", "link"), EMPTY)
def test_empty_page_offers_the_next_step(home, client, has_portfolio, role, kind, link):
    if has_portfolio:
        with tenant(home.id):
            make_portfolio()
    become(home, role)

    page = client.get(kind.path).content.decode()

    assert page.count("button primary") == (1 if link else 0)
    assert link is None or f'<a class="button primary" href="{link}">' in page
    if kind is not TAX_YEAR and not has_portfolio and role == Role.OWNER:
        assert client.get(f"{kind.path}/new").headers["Location"] == "/portfolios/new"


@every_kind
def test_more_rows_take_no_more_queries(home, client, portfolio, kind):
    counts = []
    for added in (1, 2):
        with tenant(home.id):
            for _ in range(added):
                kind.make(portfolio)
        counts.append(query_count(client, kind.path))

    assert counts[0] == counts[1]


def test_receipts_come_page_by_page(home, client, portfolio):
    days = [DAY - dt.timedelta(days=age) for age in range(51)]
    with tenant(home.id):
        for day in days:
            make_receipt(portfolio, purchased_on=day)

    first = client.get("/receipts").content.decode()
    assert days[-1].strftime(">%-d %b %Y<") not in first
    older = client.get(first.split('class="link" href="')[1].split('"')[0].replace("&amp;", "&")).content.decode()
    assert days[-1].strftime(">%-d %b %Y<") in older


def test_records_are_those_of_the_chosen_portfolio(home, client, portfolio):
    with tenant(home.id):
        second = make_portfolio(name="Second")
        make_policy(portfolio, insurer="First Insurer")
        make_receipt(second, merchant="Second Merchant")

    client.post("/switch-portfolio", {"portfolio": str(portfolio.id)})
    assert "First Insurer" in client.get("/insurance").content.decode()
    assert "Second Merchant" not in client.get("/receipts").content.decode()
    client.post("/switch-portfolio", {"portfolio": str(second.id)})
    assert "First Insurer" not in client.get("/insurance").content.decode()
    assert "Second Merchant" in client.get("/receipts").content.decode()


def test_records_are_in_the_persons_locale_and_saved_unchanged(home, client, portfolio):
    client.post("/settings/profile", {"name": "Alex", "locale": "de-DE"})
    with tenant(home.id):
        receipt = make_receipt(portfolio, currency="KWD", total=Decimal("1.234"), purchased_on=DAY)
        policy = make_policy(portfolio, starts_on=DAY, ends_on=dt.date(2027, 3, 30))
        year = make_tax_year(lodged_on=DAY)

    assert "31.03.2026" in client.get(f"/receipts/{receipt.id}").content.decode()
    assert "on 30.03.2027" in client.get("/insurance").content.decode()
    assert "31.03.2026" in client.get(f"/insurance/{policy.id}").content.decode()
    assert "31.03.2026" in client.get(f"/tax/{year.id}").content.decode()
    # "1.234" would be doubtful in German: the form must not be filled with what it would refuse.
    form = client.get(f"/receipts/{receipt.id}/edit").context["form"]
    filled = {name: form[name].value() for name in form.fields}
    assert filled["total"] == "1,234"
    answer = client.post(f"/receipts/{receipt.id}/edit", {name: value or "" for name, value in filled.items()})
    assert answer.status_code == 303
    assert only(home, RECEIPT).total == Decimal("1.234")

"""Lists over HTTP: pages and filters."""

import datetime as dt

import pytest

from services.core.models import Portfolio
from tests.factories import TODAY, make_asset, make_portfolio, make_transaction, set_value


def walk(home, path, *, limit, **query):
    """Return the ids on each page."""
    pages, cursor = [], {}
    while True:
        page = home.get(path, limit=limit, **query, **cursor)
        pages.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return pages
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (500, [7])])
def test_pages_show_every_transaction_once_newest_first(home, limit, sizes):
    with home.scope():
        asset = make_asset(make_portfolio())
        days = [TODAY - dt.timedelta(days=each) for each in (0, 0, 1, 1, 1, 5, 5)]
        rows = [make_transaction(asset, on=day) for day in days]

    pages = walk(home, "/transactions", limit=limit)

    assert [len(page) for page in pages] == sizes
    expected = sorted(rows, key=lambda row: (row.booked_on, row.id), reverse=True)
    assert [each for page in pages for each in page] == [str(row.id) for row in expected]


def test_pages_show_every_portfolio_once_oldest_first(home):
    with home.scope():
        for number in range(5):
            make_portfolio(name=f"Number {number}")
        expected = [str(each) for each in Portfolio.objects.order_by("created_at", "id").values_list("id", flat=True)]

    assert walk(home, "/portfolios", limit=2) == [expected[:2], expected[2:4], expected[4:]]


def test_row_added_while_walking_moves_nothing(home):
    with home.scope():
        asset = make_asset(make_portfolio())
        old = [str(make_transaction(asset, on=TODAY - dt.timedelta(days=each)).id) for each in range(3)]
    first = home.get("/transactions", limit=2)
    with home.scope():
        make_transaction(asset)

    second = home.get("/transactions", limit=2, cursor=first["next_cursor"])

    assert [each["id"] for each in second["items"]] == old[2:]


FILTERS = [
    ({}, "abcdef"),
    ({"portfolio_id": "one"}, "abcd"),
    ({"portfolio_id": "two"}, "ef"),
    ({"asset_id": "cash"}, "abc"),
    ({"asset_id": "card", "portfolio_id": "two"}, ""),
    ({"from_": "2026-11-02"}, "bcdef"),
    ({"to": "2026-11-02"}, "ab"),
    ({"from_": "2026-11-02", "to": "2026-11-02"}, "b"),
    ({"from_": "2026-11-03", "to": "2026-11-02"}, ""),
    ({"from_": "0001-01-01", "to": "9999-12-31"}, "abcdef"),
    ({"min_amount": "-12.50"}, "bcdef"),
    ({"min_amount": "-12.4999"}, "cdef"),
    ({"max_amount": "-12.50"}, "ab"),
    ({"max_amount": "-12.5001"}, "a"),
    ({"min_amount": "0", "max_amount": "0"}, "c"),
    ({"min_amount": "-99999999999999.9999", "max_amount": "99999999999999.9999"}, "abcdef"),
    ({"pending": "true"}, "cf"),
    ({"pending": "false"}, "abde"),
    ({"portfolio_id": "one", "pending": "false", "from_": "2026-11-02", "max_amount": "100"}, "bd"),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=[str(query) for query, _ in FILTERS])
def test_transactions_are_filtered(home, query, expected):
    with home.scope():
        one, two = make_portfolio(), make_portfolio()
        cash, card, other = make_asset(one), make_asset(one), make_asset(two)
        rows = {
            "a": make_transaction(cash, on=dt.date(2026, 11, 1), amount="-100.00"),
            "b": make_transaction(cash, on=dt.date(2026, 11, 2), amount="-12.50"),
            "c": make_transaction(cash, on=dt.date(2026, 11, 3), amount="0.00", pending=True),
            "d": make_transaction(card, on=dt.date(2026, 11, 4), amount="12.50"),
            "e": make_transaction(other, on=dt.date(2026, 11, 5), amount="100.00"),
            "f": make_transaction(other, on=dt.date(2026, 11, 6), amount="100.01", pending=True),
        }
    ids = {"one": one.id, "two": two.id, "cash": cash.id, "card": card.id}
    names = {str(row.id): name for name, row in rows.items()}

    found = home.get("/transactions", **{name: ids.get(value, value) for name, value in query.items()})

    assert "".join(sorted(names[item["id"]] for item in found["items"])) == expected


def test_transaction_is_shown_whole(home):
    with home.scope():
        asset = make_asset(make_portfolio(), currency="JPY")
        row = make_transaction(asset, amount="-1250")

    assert home.get("/transactions")["items"] == [
        {
            "id": str(row.id),
            "asset_id": str(asset.id),
            "booked_on": "2026-11-23",
            "amount": "-1250",
            "currency": "JPY",
            "description": "Groceries",
            "merchant": "",
            "category": "",
            "note": "",
            "pending": False,
        }
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("portfolio_id", "x", "malformed_request"),
        ("asset_id", "0", "malformed_request"),
        ("from", "yesterday", "malformed_request"),
        ("from", "2026-02-30", "malformed_request"),
        ("to", "2026-13-01", "malformed_request"),
        ("to", "0", "malformed_request"),
        ("to", "2026-11-02T00:00:00Z", "malformed_request"),
        ("min_amount", "cheap", "malformed_request"),
        ("min_amount", "NaN", "malformed_request"),
        ("min_amount", "1.00001", "malformed_request"),
        ("max_amount", "Infinity", "malformed_request"),
        ("max_amount", "1e400", "malformed_request"),
        ("max_amount", "1" + "0" * 14, "malformed_request"),
        ("pending", "maybe", "malformed_request"),
        ("limit", "0", "malformed_request"),
        ("limit", "501", "malformed_request"),
        ("limit", "many", "malformed_request"),
        ("limit", "9" * 5000, "malformed_request"),
        ("cursor", "x", "invalid_input"),
        ("cursor", "\0", "invalid_input"),
        ("cursor", "a" * 401, "malformed_request"),
        ("cursor", "WyIyMDI2LTExLTIzIl0", "invalid_input"),
    ],
)
def test_bad_parameter_is_named(home, name, value, code):
    assert home.refusal("GET", "/transactions", query={name: value}) == (422, code, {name})


def test_every_bad_parameter_is_named(home):
    assert home.refusal("GET", "/transactions", query={"limit": "x", "from": "y", "asset_id": "z"}) == (
        422,
        "malformed_request",
        {"limit", "from", "asset_id"},
    )


def test_assets_are_filtered(home):
    with home.scope():
        one, two = make_portfolio(), make_portfolio()
        car, house = make_asset(one, name="Car"), make_asset(two, name="House")
        set_value(car, "31500.00")
    home.send("POST", f"/assets/{house.id}/close", {"on": "2026-03-01"})

    def names(**query):
        return sorted(item["name"] for item in home.get("/assets", **query)["items"])

    assert names() == ["Car"]
    assert names(with_closed="true") == ["Car", "House"]
    assert names(portfolio_id=two.id) == []
    assert names(portfolio_id=two.id, with_closed="true") == ["House"]


def test_jobs_are_filtered(home):
    with home.scope():
        one, two = make_portfolio(), make_portfolio()
    for each in (one, two):
        home.send("PATCH", f"/portfolios/{each.id}", {"currency": "USD"})
    job = home.get("/jobs", subject_id=one.id)["items"]
    home.send("POST", f"/jobs/{job[0]['id']}/cancel")

    assert [(each["kind"], each["subject_id"]) for each in job] == [("core.revalue_portfolio", str(one.id))]
    assert [each["subject_id"] for each in home.get("/jobs", state="queued")["items"]] == [str(two.id)]
    assert [each["subject_id"] for each in home.get("/jobs", state="cancelled")["items"]] == [str(one.id)]
    assert home.get("/jobs", kind="core.unknown")["items"] == []
    assert home.refusal("GET", "/jobs", query={"state": "lost"}) == (422, "malformed_request", {"state"})

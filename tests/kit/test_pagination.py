"""Pages by cursor: every row once and in order, whatever is added meanwhile; and no cursor but our own."""

import base64
import datetime as dt
import uuid

import orjson
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fatfire.kit.errors import InvalidInput
from fatfire.kit.pagination import MAX_LIMIT, paginate
from services.core.models import Asset, Portfolio, Transaction
from tenants.isolation import tenant
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_tenant

NEWEST = ("-booked_on", "-id")


@pytest.fixture
def asset(database):
    """Open a tenant and return an asset in it."""
    with tenant(make_tenant().id):
        yield make_asset(make_portfolio())


def add(asset: Asset, days: list[int]) -> list[Transaction]:
    return Transaction.objects.bulk_create(
        Transaction(asset=asset, booked_on=TODAY + dt.timedelta(days=day), amount=day, description="x") for day in days
    )


def walk(rows, order, limit, between=lambda: None):
    cursor, seen = None, []
    while True:
        page = paginate(rows, order=order, cursor=cursor, limit=limit)
        seen += page.items
        assert len(page.items) == limit or page.next_cursor is None
        if page.next_cursor is None:
            return seen
        cursor = page.next_cursor
        between()


ORDERS = [
    NEWEST,
    ("booked_on", "id"),
    ("-amount", "-id"),
    ("amount", "booked_on", "id"),
    ("asset_id", "created_at", "id"),
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_walking_gives_every_row_once_in_order(order, asset):
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(-3, 3), max_size=12), st.integers(1, 5))
    def check(days, limit):
        Transaction.objects.all()._raw_delete("default")
        add(asset, days)
        expected = list(Transaction.objects.order_by(*order))

        assert walk(Transaction.objects.all(), order, limit) == expected
        names = [name.removeprefix("-") for name in order]
        as_values = walk(Transaction.objects.values(*names), order, limit)
        assert [row["id"] for row in as_values] == [row.id for row in expected]

    check()


def test_rows_added_between_pages_move_none_of_the_others(asset):
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.lists(st.integers(-4, 4)), st.integers(1, 4))
    def check(days, later, limit):
        Transaction.objects.all()._raw_delete("default")
        first = {row.id for row in add(asset, days)}
        to_come = iter(later)

        seen = walk(
            Transaction.objects.all(), NEWEST, limit, lambda: add(asset, [day for day in [next(to_come, None)] if day])
        )

        assert [row.id for row in seen if row.id in first] == list(
            Transaction.objects.filter(id__in=first).order_by(*NEWEST).values_list("id", flat=True)
        )
        assert len(seen) == len({row.id for row in seen})
        assert seen == sorted(seen, key=lambda row: (row.booked_on, row.id), reverse=True)

    check()


def test_order_by_text_and_moments(asset):
    names = ["b", "a", 'quote" \\u0000', "ä", "", "a|b", "x" * 79]
    for name in names:
        Portfolio.objects.create(name=name, currency="AUD", time_zone="UTC", created_at=AT)

    for order in (("name", "id"), ("-created_at", "-id")):
        assert walk(Portfolio.objects.all(), order, 1) == list(Portfolio.objects.order_by(*order))


@pytest.mark.parametrize("limit", [-1, 0, MAX_LIMIT + 1])
def test_limit_is_refused(limit, asset):
    with pytest.raises(InvalidInput) as refusal:
        paginate(Transaction.objects.all(), order=NEWEST, cursor=None, limit=limit)
    assert refusal.value.field == "limit"


def cursor_of(values: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


ID = str(uuid.UUID(int=1))
BAD_CURSORS = {
    "empty": "",
    "not base64": "%%%",
    "not ASCII": "ключ",
    "one character": "a",
    "not JSON": base64.urlsafe_b64encode(b"not json").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "no list": cursor_of({"booked_on": "2026-11-23", "id": ID}),
    "null": cursor_of(None),
    "number": cursor_of(5),
    "too short": cursor_of(["2026-11-23"]),
    "too long": cursor_of(["2026-11-23", ID, ID]),
    "nulls": cursor_of([None, None]),
    "numbers": cursor_of([5, 7]),
    "booleans": cursor_of([True, False]),
    "lists": cursor_of([["2026-11-23"], [ID]]),
    "objects": cursor_of([{}, {}]),
    "no date": cursor_of(["yesterday", ID]),
    "no such date": cursor_of(["2026-02-30", ID]),
    "a moment for a date": cursor_of(["2026-11-23T00:00:00+00:00", ID]),
    "no id": cursor_of(["2026-11-23", "1"]),
    "an id written otherwise": cursor_of(["2026-11-23", ID.replace("-", "")]),
    "SQL": cursor_of(["2026-11-23' OR true --", f"{ID}'); DROP TABLE core_asset; --"]),
    "NUL": cursor_of(["2026-11-23\0", ID]),
    "huge number": cursor_of([2**63, ID]),
    "huge float": base64.urlsafe_b64encode(b"[1e400, 1]").decode(),
    "huge": "A" * 1_000_000,
    "deep": base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    "something after it": cursor_of(["2026-11-23", ID]) + "!!",
    "padded": base64.urlsafe_b64encode(orjson.dumps(["2026-11-23", ID])).decode() + "====",
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS.keys())
def test_cursor_that_is_not_ours_is_refused(cursor, asset):
    with pytest.raises(InvalidInput, match="not from an earlier page") as refusal:
        paginate(Transaction.objects.all(), order=NEWEST, cursor=cursor)
    assert refusal.value.field == "cursor"


@pytest.mark.parametrize(
    ("order", "values"),
    [
        (("created_at", "id"), [5, ID]),
        (("created_at", "id"), ["2026-11-23T00:00:00", ID]),  # naive
        (("created_at", "id"), ["2026-11-23", ID]),
        (("description", "id"), ["a\0b", ID]),
        (("description", "id"), [5, ID]),
        (("amount", "id"), [5, ID]),
        (("amount", "id"), ["NaN", ID]),
        (("amount", "id"), ["1E+999999", ID]),
        (("amount", "id"), ["0.00001", ID]),
        (("asset_id", "id"), ["x", ID]),
    ],
)
def test_cursor_of_the_wrong_types_is_refused(order, values, asset):
    with pytest.raises(InvalidInput) as refusal:
        paginate(Transaction.objects.all(), order=order, cursor=cursor_of(values))
    assert refusal.value.field == "cursor"


@given(st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | st.text(max_size=60))
def test_no_cursor_crashes(cursor):
    with pytest.raises(InvalidInput):
        paginate(Transaction.objects.all(), order=NEWEST, cursor=cursor)


def test_page_is_found_by_index_under_row_level_security(asset):
    add(asset, list(range(200)))
    cursor = paginate(Transaction.objects.all(), order=NEWEST, cursor=None, limit=100).next_cursor

    with connection.cursor() as explain:
        explain.execute("SET LOCAL enable_seqscan = off")
        explain.execute("SET LOCAL enable_sort = off")
    statements = []
    with connection.execute_wrapper(lambda execute, *query: statements.append(query[:2]) or execute(*query)):
        paginate(Transaction.objects.all(), order=NEWEST, cursor=cursor, limit=10)
    ((statement, parameters),) = statements
    with connection.cursor() as explain:
        explain.execute(f"EXPLAIN {statement}", parameters)
        plan = "\n".join(row[0] for row in explain.fetchall())

    (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "core_transaction_newest" in plan
    assert "tenant_id = " in condition
    assert "ROW(booked_on, id) < ROW(" in condition
    assert "Sort" not in plan

"""One invocation for each request and each job; health is asked without leaving one."""

import datetime as dt

import pytest
from django.db import DatabaseError, connections

from services.telemetry.models import Invocation, RequestCount
from services.telemetry.operations import Kind, Outcome, Run, count_request, record_invocation
from tenants.isolation import operator, shared, tenant
from tests.api.document import call
from tests.factories import AT, make_key, make_portfolio, make_tenant

FIELDS = ("kind", "name", "outcome", "status", "error_code", "tenant_id")


def recorded():
    """Return everything recorded, oldest first."""
    with operator():
        return list(Invocation.objects.order_by("started_at").values_list(*FIELDS))


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "portfolios", None, ("GET /api/v1/portfolios", "ok", 200, "")),
        ("POST", "portfolios", "{}", ("POST /api/v1/portfolios", "refused", 422, "malformed_request")),
        (
            "GET",
            "jobs/67e55044-10b1-426f-9247-bb680e5fe0c8",
            None,
            ("GET /api/v1/jobs/<job_id>", "refused", 404, "not_found"),
        ),
        ("DELETE", "portfolios", None, ("DELETE /api/v1/portfolios", "refused", 405, "method_not_allowed")),
        ("GET", "nowhere", None, ("GET (no route)", "refused", 404, "not_found")),
    ],
)
def test_request_leaves_one_invocation_or_is_counted(database, method, path, body, expected):
    owner = make_tenant()

    call(method, f"/api/v1/{path}", key=make_key(owner), body=body)

    reached = expected[2] not in {405} and "no route" not in expected[0]
    assert recorded() == ([("request", *expected, owner.id)] if reached else [])
    assert [each[1:5] for each in counted()] == ([] if reached else [(expected[0], *expected[2:], 1)])


COUNTED = ("minute", "name", "status", "error_code", "requests", "duration_ms")


def counted():
    with operator():
        return list(RequestCount.objects.order_by("minute", "name").values_list(*COUNTED))


def test_stranger_is_counted_and_not_recorded(database):
    for path, key in (("portfolios", None), ("portfolios", "ff_garbage"), ("me", None), ("nowhere", None)):
        call("GET", f"/api/v1/{path}", key=key)
    call("BREW", "/api/v1/nowhere")
    call("PROPFIND", "/api/v1/elsewhere")

    assert recorded() == []
    found = {}
    for _, name, status, code, requests, _ in counted():  # of two minutes, when one ended in between
        found[name, status, code] = found.get((name, status, code), 0) + requests
    assert found == {
        ("GET /api/v1/portfolios", 401, "not_authenticated"): 2,
        ("GET /api/v1/me", 401, "not_authenticated"): 1,
        ("GET (no route)", 404, "not_found"): 1,
        ("OTHER (no route)", 404, "not_found"): 2,
    }


def test_requests_of_a_minute_are_added_up(database):
    def count(second, *, status=200, milliseconds=5):
        started_at = AT + dt.timedelta(seconds=second)
        ended_at = started_at + dt.timedelta(milliseconds=milliseconds)
        with shared():
            count_request(Run(Kind.REQUEST, "GET /", Outcome.OK, started_at, ended_at, "abcdefgh", status=status))

    count(0)
    count(59.9, milliseconds=7)
    count(30, status=302)
    count(60)

    later = AT + dt.timedelta(minutes=1)
    assert sorted(counted()) == [
        (AT, "GET /", 200, "", 2, 12),
        (AT, "GET /", 302, "", 1, 5),
        (later, "GET /", 200, "", 1, 5),
    ]


@pytest.mark.parametrize("statement", ["SELECT 1 FROM telemetry_requestcount", "DELETE FROM telemetry_requestcount"])
def test_counts_are_out_of_reach_of_tenants(database, statement):
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        tenant(make_tenant().id),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute(statement)


def test_invocation_has_the_requests_id_and_duration(database):
    key = make_key(make_tenant())
    before = dt.datetime.now(dt.UTC)

    call("GET", "/api/v1/me", key=key, headers={"X-Request-ID": "made-by-the-caller"})

    with operator():
        row = Invocation.objects.get()
    elapsed_ms = (dt.datetime.now(dt.UTC) - before).total_seconds() * 1000
    assert (row.request_id, row.job_id) == ("made-by-the-caller", None)
    assert before <= row.started_at
    assert 0 <= row.duration_ms <= elapsed_ms + 1


def test_job_leaves_one_with_the_id_of_its_request(run_jobs):
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio()
    key = make_key(owner)
    headers = {"X-Request-ID": "made-by-the-caller"}
    call("PATCH", f"/api/v1/portfolios/{portfolio.id}", key=key, body='{"currency": "USD"}', headers=headers)

    run_jobs()

    assert recorded()[1:] == [("job", "core.revalue_portfolio:run", "ok", None, "", owner.id)]
    with tenant(owner.id):
        assert set(Invocation.objects.values_list("request_id", flat=True)) == {"made-by-the-caller"}
        assert Invocation.objects.filter(kind="job", job_id__isnull=False).count() == 1


def test_tenant_writes_none_for_another(database):
    one, two = make_tenant(), make_tenant()

    with pytest.raises(DatabaseError, match="row-level security"), tenant(one.id):
        Invocation.objects.create(tenant_id=two.id, **_columns())
    with pytest.raises(DatabaseError, match="row-level security"), tenant(one.id):
        Invocation.objects.create(tenant_id=None, **_columns())
    with pytest.raises(DatabaseError, match="permission denied"), tenant(one.id):
        Invocation.objects.update(status=200)
    with pytest.raises(DatabaseError, match="permission denied"), tenant(one.id):
        Invocation.objects.filter(status=200).delete()

    assert recorded() == []


def _columns():
    return {
        "kind": "request", "name": "GET /", "outcome": "ok", "status": 200, "started_at": AT, "duration_ms": 1,
        "request_id": "smuggled",
    }  # fmt: skip


def test_long_names_are_cut_and_times_rounded(database):
    run = Run(Kind.REQUEST, "x" * 500, Outcome.OK, AT, AT + dt.timedelta(microseconds=1501), "abcdefgh", status=200)
    backwards = Run(Kind.REQUEST, "y", Outcome.OK, AT, AT - dt.timedelta(seconds=1), "abcdefgh", status=200)
    owner = make_tenant()
    with tenant(owner.id):
        record_invocation(run)
    with shared():
        count_request(backwards)

    with operator():
        assert list(Invocation.objects.values_list("tenant_id", "name", "duration_ms")) == [(owner.id, "x" * 120, 2)]
        assert list(RequestCount.objects.values_list("name", "duration_ms")) == [("y", 0)]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_good_and_leaves_nothing(database, path):
    response = call("GET", path)

    assert (response.status_code, response.content) == (200, b"ok")
    assert call("HEAD", path).status_code == 200
    assert call("POST", path).status_code == 405
    assert recorded() == []


def test_process_without_a_database_lives_but_is_not_ready(database, caplog):
    connections["default"].close()
    known = connections["default"].settings_dict
    connections["default"].settings_dict = {**known, "HOST": "127.0.0.1", "PORT": "9"}
    try:
        assert call("GET", "/livez").status_code == 200
        response = call("GET", "/readyz")
        unrecorded = call("GET", "/api/v1/nowhere")
    finally:
        connections["default"].settings_dict = known

    assert (response.status_code, response.content) == (503, b"not ready")
    assert unrecorded.status_code == 404
    assert [each.name for each in caplog.records] == ["fatfire.urls", "django.request", "fatfire.middleware"]
    assert call("GET", "/readyz").status_code == 200


def test_database_without_a_table_is_not_ready(database, admin):
    admin.execute("ALTER TABLE exchange_rate RENAME TO exchange_rate_gone")
    try:
        assert call("GET", "/readyz").status_code == 503
    finally:
        admin.execute("ALTER TABLE exchange_rate_gone RENAME TO exchange_rate")

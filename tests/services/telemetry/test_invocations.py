"""One invocation for each request and each job; health is asked without leaving one."""

import datetime as dt

import pytest
from django.db import DatabaseError, connections

from services.telemetry.models import Invocation
from services.telemetry.operations import Kind, Outcome, Run, record_anonymous_request, record_invocation
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
def test_request_leaves_one_invocation(database, method, path, body, expected):
    owner = make_tenant()

    call(method, f"/api/v1/{path}", key=make_key(owner), body=body)

    reached = expected[2] not in {405} and "no route" not in expected[0]
    assert recorded() == [("request", *expected, owner.id if reached else None)]


def test_stranger_leaves_one_without_a_tenant(database):
    call("GET", "/api/v1/portfolios")
    call("GET", "/api/v1/portfolios", key="ff_garbage")

    assert recorded() == [("request", "GET /api/v1/portfolios", "refused", 401, "not_authenticated", None)] * 2


def test_invocation_has_the_requests_id_and_duration(database):
    before = dt.datetime.now(dt.UTC)

    call("GET", "/api/v1/me", headers={"X-Request-ID": "made-by-the-caller"})

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
        record_anonymous_request(backwards)

    with operator():
        rows = set(Invocation.objects.values_list("tenant_id", "name", "duration_ms"))
    assert rows == {(owner.id, "x" * 120, 2), (None, "y", 0)}


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

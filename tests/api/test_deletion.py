"""Deleting a portfolio over HTTP, from the request to the last row."""

import uuid

import pytest

from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core.models import Portfolio
from services.jobs.models import Job
from tenants.isolation import tenant
from tenants.permissions import Role
from tests.api.conftest import Home
from tests.factories import AT, make_key
from tests.services.cleanup.portfolios import full_portfolio, row_counts
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


@pytest.fixture
def portfolio_id(home):
    with tenant(home.tenant.id):
        return full_portfolio()


@pytest.fixture
def member(home):
    return Home(home.tenant, make_key(home.tenant, Role.MEMBER))


def code_of(home, method, path, body=None):
    response = home.call(method, path, body)
    return response.status_code, response.json()["code"]


def test_it_is_gone_at_once_and_a_job_does_the_rest(home, portfolio_id, run_jobs):
    path = f"/portfolios/{portfolio_id}"

    job = home.send("DELETE", path)["job_id"]

    assert home.get("/portfolios")["items"] == []
    assert home.get("/assets", with_closed="true")["items"] == []
    assert home.get("/transactions")["items"] == []
    assert home.get("/policies")["items"] == home.get("/receipts")["items"] == home.get("/links")["items"] == []
    assert code_of(home, "GET", path) == (404, "not_found")
    assert code_of(home, "GET", f"{path}/net-worth") == (404, "not_found")
    assert code_of(home, "PATCH", path, {"name": "New"}) == (409, "portfolio_being_deleted")
    assert code_of(home, "POST", "/assets", {"portfolio_id": portfolio_id, "name": "Car", "kind": "vehicle"})[0] == 404
    assert code_of(home, "POST", "/links", {"portfolio_id": portfolio_id})[0] == 404
    shown = home.get(f"/jobs/{job}")
    assert [(step["name"], step["state"]) for step in shown["steps"]] == [
        ("remove_links", "queued"), ("delete_assets", "blocked"), ("delete_asset_history", "blocked"),
        ("delete_portfolio_history", "blocked"), ("delete_videos", "blocked"), ("delete_portfolio", "blocked"),
    ]  # fmt: skip
    assert home.send("DELETE", path)["job_id"] == job

    run_jobs()

    assert home.get(f"/jobs/{job}")["state"] == "succeeded"
    with tenant(home.tenant.id):
        assert set(row_counts().values()) == {0}
    assert code_of(home, "DELETE", path) == (404, "not_found")


def test_it_can_be_kept_until_something_is_deleted(home, portfolio_id):
    path = f"/portfolios/{portfolio_id}"
    assert code_of(home, "POST", f"{path}/restore") == (409, "portfolio_not_being_deleted")
    home.send("DELETE", path)

    assert home.call("POST", f"{path}/restore").status_code == 204
    assert home.get(path)["name"] == "Family"

    job = home.send("DELETE", path)["job_id"]
    for _ in range(2):
        advance(job_id=uuid.UUID(job), tenant_id=home.tenant.id)
    assert code_of(home, "POST", f"{path}/restore") == (409, "deletion_begun")
    assert code_of(home, "GET", path) == (404, "not_found")


def test_members_neither_delete_nor_keep_nor_move_the_job(home, member, portfolio_id):
    path = f"/portfolios/{portfolio_id}"
    assert code_of(member, "DELETE", path) == (403, "permission_denied")
    job = home.send("DELETE", path)["job_id"]

    for refused in (f"{path}/restore", f"/jobs/{job}/cancel", f"/jobs/{job}/retry"):
        assert code_of(member, "POST", refused) == (403, "permission_denied")
    with tenant(home.tenant.id):
        assert Job.objects.get(kind=DELETE_PORTFOLIO.name).state == "queued"
        assert Portfolio.objects.get().deleting_since is not None

    assert home.send("POST", f"/jobs/{job}/cancel")["state"] == "cancelled"
    assert home.send("POST", f"/jobs/{job}/retry")["state"] == "queued"


def test_members_still_move_other_jobs(member, portfolio_id):
    with tenant(member.tenant.id):
        job = Job.objects.filter(subject_id=portfolio_id, state="queued").get()

    assert member.send("POST", f"/jobs/{job.id}/cancel")["state"] == "cancelled"
    assert member.send("POST", f"/jobs/{job.id}/retry")["state"] == "queued"
    assert job.created_at == AT

"""The page of a job and the deletion of a portfolio from the portfolios' page, without a browser."""

import re
import uuid

import pytest

from services.cleanup import operations
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core.models import Portfolio
from services.jobs import operations as jobs
from services.jobs.models import Job
from tenants.isolation import operator, tenant
from tenants.models import Membership
from tenants.permissions import Role
from tests.factories import AT, make_portfolio, make_tenant
from tests.services.cleanup.portfolios import full_portfolio
from tests.services.jobs.kinds import SINGLE, claimed, fail
from tests.web.test_portfolios_page import errors_in, query_count
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


@pytest.fixture
def portfolio_id(home):
    with tenant(home.id):
        return full_portfolio()


def deletion(home):
    with tenant(home.id):
        return Job.objects.get(kind=DELETE_PORTFOLIO.name)


def begin(client, home, portfolio_id):
    """Ask for the deletion as a person does; return its job's page."""
    response = client.post(f"/portfolios/{portfolio_id}/delete", {"typed": "Family"})
    assert response.status_code == 303
    return response.headers["Location"]


def run(home, *, steps=100):
    job = deletion(home)
    return sum(advance(job_id=job.id, tenant_id=home.id) for _ in range(steps))


def become(home, role):
    with operator():
        Membership.objects.filter(tenant=home).update(role=role)


def buttons_on(page):
    return re.findall(r'<button class="button[^>]*id="([\w-]+)"', page)


def text_of(client, path, **headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_it_asks_twice(home, client, portfolio_id):
    path = f"/portfolios/{portfolio_id}/delete"
    assert path in text_of(client, "/portfolios")
    asked = text_of(client, path)
    assert "Delete Family?" in asked
    assert "2 transactions" in asked
    assert "1 insurance policy<" in asked

    for typed, words in (
        ("", "Type the portfolio&#x27;s name."),
        ("family", "That is not its name. It is called Family."),
    ):
        response = client.post(path, {"typed": typed})
        assert (response.status_code, errors_in(response)) == (422, {"typed": words})
    with tenant(home.id):
        assert not Job.objects.filter(kind=DELETE_PORTFOLIO.name).exists()
        assert Portfolio.objects.get().deleting_since is None

    job_page = begin(client, home, portfolio_id)
    assert job_page == f"/jobs/{deletion(home).id}"
    assert "Delete portfolio: Family" in text_of(client, job_page)
    listed = text_of(client, "/portfolios")
    assert job_page in listed
    assert path not in listed
    assert client.get(path).status_code == 404


def test_page_tells_of_every_step_and_asks_again_until_the_end(home, client, portfolio_id):
    path = begin(client, home, portfolio_id)
    before = text_of(client, path)
    assert "Family is being deleted" in before
    assert 'hx-trigger="every 1s, nudge"' in before
    assert buttons_on(before) == ["cancel-job", "restore-portfolio"]
    assert 'aria-label="Remove links: Queued, Delete assets: Blocked,' in before

    run(home, steps=2)
    part = text_of(client, path, hx_request="true")
    assert "<html" not in part
    assert buttons_on(part) == ["cancel-job"]
    assert '<span class="muted">transactions</span> <span class="num">2</span>' in part

    run(home)
    after = text_of(client, path)
    assert "hx-trigger" not in after
    assert "all that was in it are deleted" in after
    assert buttons_on(after) == []
    assert "Being deleted" not in text_of(client, "/portfolios")


def test_failed_step_is_shown_and_tried_again(home, client, portfolio_id, monkeypatch):
    path = begin(client, home, portfolio_id)
    with monkeypatch.context() as patched:
        patched.setattr(operations.core, "delete_values", None)
        run(home)

    failed = text_of(client, path)
    assert "Something went wrong on our side. <code>internal_error</code>" in failed
    assert "hx-trigger" not in failed
    assert buttons_on(failed) == ["retry-job"]
    assert client.post(f"{path}/retry").status_code == 303
    run(home)
    assert deletion(home).state == "succeeded"


def test_cancelled_it_is_gone_on_with(home, client, portfolio_id):
    path = begin(client, home, portfolio_id)
    run(home, steps=2)

    assert client.post(f"{path}/cancel").headers["Location"] == path
    assert deletion(home).state == "cancelled"
    assert client.post(f"{path}/cancel").status_code == 303  # too late: its page says so
    stopped = text_of(client, path)
    assert "What is deleted stays deleted" in stopped
    assert buttons_on(stopped) == ["retry-job"]
    assert client.post(f"/portfolios/{portfolio_id}/restore").status_code == 409

    assert client.post(f"/portfolios/{portfolio_id}/resume-deletion").headers["Location"] == path
    run(home)
    assert deletion(home).state == "succeeded"


def test_portfolio_is_kept_after_all(home, client, portfolio_id):
    path = begin(client, home, portfolio_id)

    assert client.post(f"/portfolios/{portfolio_id}/restore").status_code == 303

    page = text_of(client, "/portfolios")
    assert "Portfolio kept" in page
    assert f"/portfolios/{portfolio_id}/delete" in page
    kept = text_of(client, path)
    assert "The portfolio was kept" in kept
    assert buttons_on(kept) == []
    assert client.post(f"/portfolios/{portfolio_id}/resume-deletion").status_code == 404


def test_deletion_whose_job_is_forgotten_goes_on(home, client, portfolio_id):
    begin(client, home, portfolio_id)
    with tenant(home.id):
        jobs.cancel_job(job_id=deletion(home).id, at=AT)
        deletion(home).delete()

    resume = f"/portfolios/{portfolio_id}/resume-deletion"
    assert resume in text_of(client, "/portfolios")
    assert client.post(resume).headers["Location"] == f"/jobs/{deletion(home).id}"


def test_only_admins_delete_stop_and_go_on(home, client, portfolio_id):
    path = begin(client, home, portfolio_id)
    with tenant(home.id):
        other = make_portfolio(name="Other").id
    become(home, Role.MEMBER)

    assert f"/portfolios/{other}/delete" not in text_of(client, "/portfolios")
    assert buttons_on(text_of(client, path)) == []
    for refused in (
        f"/portfolios/{other}/delete",
        f"/portfolios/{portfolio_id}/restore",
        f"/portfolios/{portfolio_id}/resume-deletion",
        f"{path}/cancel",
        f"{path}/retry",
    ):
        assert client.post(refused, {"typed": "Other"}).status_code == 403
    assert deletion(home).state == "queued"
    with tenant(home.id):
        assert Portfolio.objects.get(id=other).deleting_since is None


def test_jobs_of_another_tenant_are_nowhere(client):
    other = make_tenant()
    with tenant(other.id):
        portfolio_id = full_portfolio()
        job = operations.request_portfolio_deletion(portfolio_id=portfolio_id, at=AT)

    for path in (f"/jobs/{job.id}", f"/portfolios/{portfolio_id}/delete", f"/jobs/{uuid.uuid4()}"):
        assert client.get(path).status_code == 404
    for path in (
        f"/jobs/{job.id}/cancel",
        f"/jobs/{job.id}/retry",
        f"/portfolios/{portfolio_id}/restore",
        f"/portfolios/{portfolio_id}/resume-deletion",
    ):
        assert client.post(path).status_code == 404
    assert deletion(other).state == "queued"


def test_any_job_has_its_page_and_members_move_the_others(home, client):
    with tenant(home.id):
        job = jobs.enqueue(kind=SINGLE, subject_id=uuid.uuid4(), at=AT)
    become(home, Role.MEMBER)
    fail(claimed(job))

    page = text_of(client, f"/jobs/{job.id}")
    assert "It broke. <code>broken</code>" in page
    assert buttons_on(page) == ["retry-job"]
    assert client.post(f"/jobs/{job.id}/retry").status_code == 303
    become(home, Role.VIEWER)
    assert client.post(f"/jobs/{job.id}/cancel").status_code == 403


def test_portfolios_in_deletion_take_no_more_queries(home, client):
    counts = []
    for added in (1, 2):
        with tenant(home.id):
            for _ in range(added):
                operations.request_portfolio_deletion(portfolio_id=make_portfolio().id, at=AT)
        counts.append(query_count(client, "/portfolios"))

    assert counts[0] == counts[1]

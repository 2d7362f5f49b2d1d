"""The operators' console in a browser: no breach of its policy, nothing unreadable, light and dark."""

import datetime as dt
import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from fatfire.kit.clock import now
from services.accounts.sign_in import create_sign_in_token
from services.exchange.models import Rate
from services.jobs import operations as jobs
from services.jobs.jobs import Queue
from services.jobs.models import Job
from services.telemetry.models import Invocation
from tenants.isolation import operator, tenant
from tenants.models import User
from tests.factories import make_tenant
from tests.services.jobs.kinds import DIAMOND, SINGLE, claimed, fail, succeed


@pytest.fixture
def console(site, home):
    """Return what signs an operator's browser in by a link, and leaves it on the dashboard."""
    with operator():
        ada = User.objects.create(email="ada@fatfire.example", name="Ada Operator", is_operator=True)

    def go(page: Page) -> str:
        page.goto(f"{site}/sign-in/{create_sign_in_token(user_id=ada.id, at=now())}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Newest failures").wait_for()
        return site

    return go


@pytest.fixture
def history(home) -> Job:
    """Make a day of jobs and requests; return a job that waits for its second column of steps."""
    at = now()
    with tenant(home.id):
        for number in range(40):
            jobs.enqueue(kind=SINGLE, subject_id=uuid.uuid4(), at=at - dt.timedelta(minutes=30 * number + 5))
        open_job = jobs.enqueue(kind=DIAMOND, subject_id=uuid.uuid4(), at=at)
        Invocation.objects.bulk_create(
            Invocation(
                kind="request",
                name=f"GET /api/v1/{('assets', 'portfolios', 'transactions')[number % 3]}",
                outcome="failed" if number % 17 == 0 else "ok",
                status=500 if number % 17 == 0 else 200,
                started_at=at - dt.timedelta(minutes=7 * number),
                duration_ms=5 + number * 13 % 240,
                request_id="browser",
            )
            for number in range(200)
        )
    for number, job in enumerate(_singles()):
        claim = claimed(job, at=job.created_at + dt.timedelta(seconds=1))
        ended_at = job.created_at + dt.timedelta(seconds=3 + number)
        fail(claim, at=ended_at) if number % 6 == 0 else succeed(claim, at=ended_at)
    succeed(claimed(open_job, at=at), at=at, rows=12)
    with operator():
        Rate.objects.create(currency="AUD", on=at.date(), per_euro="1.7654", load=1)
        Rate.objects.create(currency="BGN", on=dt.date(2025, 12, 31), per_euro="1.9558", load=1)
    make_tenant(slug="others")
    return open_job


def _singles() -> list[Job]:
    with operator():
        return list(Job.objects.filter(kind=SINGLE.name).order_by("created_at"))


PAGES = {
    "/admin/": "Newest failures",
    "/admin/jobs/job/": "test.diamond",
    "/admin/jobs/job/{job}/change/": "Succeeded",
    "/admin/jobs/job/{job}/cancel/": "What it has committed stays",
    "/admin/tenants/user/": "ada@fatfire.example",
    "/admin/tenants/membership/add/": "Household",
    "/admin/telemetry/invocation/": "GET /api/v1/assets",
    "/admin/rates/": "Not the day's any more",
    "/admin/dead-letters/": "keeps its messages in memory",
}
"""Pages, each with words that are on it once it is there."""


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_console_is_readable(page: Page, console, history, require_accessible, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1440, "height": 900})
    site = console(page)

    for path, words in PAGES.items():
        page.goto(site + path.format(job=history.id))
        page.get_by_text(words).first.wait_for()
        page.wait_for_function("!document.querySelector('select.admin-autocomplete:not(.select2-hidden-accessible)')")

        assert page.evaluate("document.documentElement.classList.contains('dark')") == (scheme == "dark")
        require_accessible(page)


def test_tenant_is_found_in_the_filter(page: Page, console, history):
    page.goto(console(page) + "/admin/core/portfolio/")
    page.get_by_role("button", name="Filters", exact=True).click()

    page.get_by_role("combobox").first.click()
    page.locator(".select2-search__field").last.fill("home")
    page.get_by_role("option", name="home").click()
    page.get_by_role("button", name="Apply Filters").click()

    page.wait_for_url("**tenant__id__exact=*")
    page.get_by_text("Family wealth").wait_for()


def test_open_job_is_cancelled_and_its_page_follows(page: Page, console, history):
    site = console(page)
    page.goto(f"{site}/admin/jobs/job/{history.id}/change/")
    page.get_by_text("Queued").first.wait_for()

    succeed(claimed(history, at=now()), at=now())
    page.get_by_role("img", name="first: Succeeded, left: Succeeded").wait_for()  # by itself

    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel job").click()

    page.get_by_text("Done: cancel job.").wait_for()
    page.get_by_text("Cancelled").first.wait_for()
    expect(page.locator("#job-progress[hx-get]")).to_have_count(0)


def test_dead_letter_is_readable_and_deleted(page: Page, console, queues, require_accessible):
    queues.put("not Celery's", dead=True)
    page.goto(console(page) + "/admin/dead-letters/")
    page.get_by_text("No worker came to an end with it").wait_for()
    require_accessible(page)

    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()

    page.get_by_text("Done: delete.").wait_for()
    expect(page.get_by_text("None.")).to_have_count(len(Queue))
    assert queues.count(dead=True) == 0


def test_search_finds_a_tenant(page: Page, console, history):
    console(page)

    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially("others")

    page.get_by_role("link", name=re.compile("others • Tenant")).wait_for()

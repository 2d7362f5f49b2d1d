"""Deleting a portfolio in a browser: it asks twice, and its graph is watched to the end."""

import re
import threading

import pytest
from django.db import connections
from playwright.sync_api import expect

from services.cleanup import operations
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core.models import Portfolio
from services.jobs.models import Job
from tenants.isolation import tenant
from tests.browser.conftest import watch
from tests.browser.test_pages import PHONE
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


def ask(page, site):
    """Ask for the deletion of the household's portfolio, and stay on its job's page."""
    page.goto(f"{site}/portfolios")
    page.get_by_label("Change Family wealth").click()
    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_role("heading", name="Delete Family wealth?").wait_for()
    page.get_by_label("Type Family wealth to delete it").fill("Family wealth")
    page.get_by_role("button", name="Delete portfolio").click()
    page.get_by_role("heading", name="Delete portfolio: Family wealth").wait_for()


def run_step(home):
    """Run one step of the deletion, as a worker does."""
    with tenant(home.id):
        job = Job.objects.get(kind=DELETE_PORTFOLIO.name)
    assert advance(job_id=job.id, tenant_id=home.id)


def test_graph_is_watched_to_the_end(site, home, page, sign_in):
    sign_in(page)
    ask(page, site)
    page.get_by_role("img", name=re.compile("^Remove links: Queued, Delete assets: Blocked")).wait_for()
    page.get_by_role("button", name="Cancel").focus()

    run_step(home)
    page.get_by_role("img", name=re.compile("Remove links: Succeeded, Delete assets: Queued")).wait_for()
    expect(page.locator("#cancel-job")).to_be_focused()  # it stays where it was, however often it asks
    run_step(home)
    page.get_by_role("img", name=re.compile("asset history: Queued, Delete portfolio history: Queued")).wait_for()
    page.get_by_text("Keep the portfolio").wait_for(state="detached")
    for _ in range(4):
        run_step(home)
    page.get_by_text("all that was in it are deleted").wait_for()

    page.get_by_role("img", name=re.compile("^Remove links(.*: Succeeded){6}$")).wait_for()
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    with tenant(home.id):
        assert not Portfolio.objects.exists()


def test_running_step_shows_how_far_it_is(site, home, page, sign_in, monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 10)
    sign_in(page)
    ask(page, site)
    run_step(home)
    run_step(home)
    half_way, go_on = threading.Event(), threading.Event()
    delete = operations.history.delete_asset_days

    def second_batch_waits(**options):
        if half_way.is_set():
            go_on.wait(20)
        half_way.set()
        return delete(**options)

    monkeypatch.setattr(operations.history, "delete_asset_days", second_batch_waits)

    def work():
        try:
            run_step(home)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    page.get_by_text("asset_days 10").wait_for()
    page.get_by_role("img", name=re.compile("Delete asset history: Running")).wait_for()
    go_on.set()
    worker.join()
    page.get_by_text("asset_days 40").wait_for()


def test_all_works_without_scripts(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False})
    page = context.new_page()
    wrong = watch(page)
    sign_in(page)
    ask(page, site)

    run_step(home)
    page.get_by_role("link", name="See how far it is").click()
    page.get_by_role("img", name=re.compile("Remove links: Succeeded")).wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Keep the portfolio").click()
    page.get_by_text("Portfolio kept").wait_for()

    assert wrong == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_pages_are_accessible_and_fit_a_phone(
    site, home, page, sign_in, require_accessible, run_jobs, scheme, monkeypatch
):
    page.emulate_media(color_scheme=scheme)
    sign_in(page)

    def look():
        require_accessible(page)
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        require_accessible(page)
        page.set_viewport_size({"width": 1280, "height": 860})

    with tenant(home.id):
        portfolio_id = Portfolio.objects.get().id
    page.goto(f"{site}/portfolios/{portfolio_id}/delete")
    look()
    ask(page, site)
    look()
    run_step(home)
    with monkeypatch.context() as patched:
        patched.setattr(operations.core, "delete_values", None)
        run_step(home)
    page.get_by_role("button", name="Try again").wait_for()
    look()
    page.goto(f"{site}/portfolios")
    look()
    page.get_by_role("link", name="Show the deletion").click()
    page.get_by_role("button", name="Try again").click()
    run_jobs()
    page.get_by_text("all that was in it are deleted").wait_for()
    look()

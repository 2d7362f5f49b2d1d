"""Linking a bank as a person does it: through the bank's own page, and back; with scripts and without."""

import pytest

from fatfire.kit.clock import local_date, now
from services.integration.sandbox.institutions import WATTLE
from tests.browser.conftest import watch
from tests.slices.linked import connected_bank

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        running.clock.now = now()  # the site lives in the real present
        running.clock.today = local_date(now(), "Australia/Sydney")
        yield running


def go_to_bank(page, site):
    page.goto(f"{site}/accounts")
    page.get_by_role("button", name="Link to bank").click()


def approve(page):
    """Approve on the bank's page, come back and finish."""
    page.get_by_role("heading", name="Link a bank").wait_for()
    page.get_by_label(WATTLE.name).check()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Welcome back from the bank").wait_for()


def finish(page):
    page.get_by_role("button", name="Finish").click()
    page.wait_for_url("**/accounts")


def net_worth(page, site):
    page.goto(f"{site}/net-worth")
    return page.locator(".stat .big").first.inner_text()


def test_bank_is_linked_read_renamed_and_removed(site, bank, home, page, sign_in, run_jobs):
    sign_in(page)
    before = net_worth(page, site)
    page.get_by_role("link", name="Bank accounts").click()
    page.get_by_role("heading", name="No bank yet").wait_for()
    go_to_bank(page, site)
    approve(page)
    finish(page)

    page.evaluate("window.kept = true")
    page.get_by_text("Waiting to read: New bank").wait_for()
    run_jobs()
    page.get_by_text(f"Up to date: {WATTLE.name}").wait_for()
    page.get_by_role("heading", name=WATTLE.name).wait_for()
    assert page.evaluate("window.kept")  # without loading the page again
    rows = page.locator(".accounts tbody tr")
    assert rows.count() > 1
    assert page.locator(".toast[hx-get]").count() == 0  # nothing asks any more
    page.get_by_role("button", name="Close").click()
    assert page.locator(".toast").count() == 0

    page.get_by_role("button", name="Refresh data").click()
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    page.locator(".tag", has_text="Importing").wait_for()
    run_jobs()
    page.get_by_text(f"Up to date: {WATTLE.name}").wait_for()
    page.locator(".tag", has_text="Linked").wait_for()
    assert page.evaluate("window.kept")

    linked = net_worth(page, site)
    assert linked != before
    page.goto(f"{site}/accounts")
    page.get_by_role("link", name="Rename").first.click()
    page.get_by_label("Name").fill("Groceries")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Rename Groceries").wait_for()

    page.get_by_label(f"More for {WATTLE.name}").click()
    page.get_by_role("link", name="Remove bank").click()
    page.get_by_role("heading", name=f"Remove {WATTLE.name}?").wait_for()
    page.get_by_role("link", name="Keep it").click()
    page.get_by_label(f"More for {WATTLE.name}").click()
    page.get_by_role("link", name="Remove bank").click()
    page.get_by_role("button", name="Remove bank").click()
    page.get_by_text(f"Waiting to remove: {WATTLE.name}").wait_for()
    run_jobs()
    page.get_by_text(f"Removed: {WATTLE.name}").wait_for()
    page.get_by_role("heading", name="No bank yet").wait_for()
    assert net_worth(page, site) == before


def test_all_works_without_scripts(site, bank, home, browser, browser_context_args, sign_in, run_jobs):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False, "viewport": PHONE})
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong = watch(page)

    sign_in(page)
    go_to_bank(page, site)
    approve(page)
    finish(page)
    page.get_by_text("Waiting to read: New bank").wait_for()
    run_jobs()
    page.get_by_role("link", name="See how far it is").click()
    page.get_by_role("heading", name=WATTLE.name).wait_for()
    page.get_by_role("button", name="Refresh data").click()
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    run_jobs()
    page.reload()
    page.locator(".tag", has_text="Linked").wait_for()
    page.get_by_role("link", name="Rename").first.click()
    page.get_by_label("Name").fill("Groceries")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Rename Groceries").wait_for()
    page.get_by_label(f"More for {WATTLE.name}").click()
    page.get_by_role("link", name="Remove bank").click()
    page.get_by_role("button", name="Remove bank").click()
    run_jobs()
    page.reload()
    page.get_by_role("heading", name="No bank yet").wait_for()

    assert wrong == []
    context.close()


def test_way_to_the_bank_can_be_walked_by_hand(site, bank, home, page, sign_in):
    """Where the browser doesn't follow the page's refresh, its link leads to the bank."""
    sign_in(page)

    def without_refresh(route):
        answer = route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "refresh"}
        route.fulfill(response=answer, headers=headers)

    page.route("**/link-to-bank", without_refresh)
    go_to_bank(page, site)
    page.get_by_role("link", name="Continue to the bank").click()
    approve(page)

"""Linking a bank as a person does it: through the bank's own page, and back; with scripts and without."""

import pytest
from playwright.sync_api import expect

from fatfire.kit.clock import local_date, now
from services.core.models import Portfolio
from services.integration import operations as integration
from services.integration.sandbox.institutions import SEQUOIA, WATTLE
from tenants.isolation import tenant
from tests.browser.conftest import watch
from tests.factories import owner_id
from tests.slices.linked import connected_bank, public_token

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        running.clock.now = now()  # the site lives in the real present
        running.clock.today = local_date(now(), "Australia/Sydney")
        yield running


def go_to_bank(page, site):
    page.goto(f"{site}/accounts")
    page.get_by_role("link", name="Link to bank").click()
    page.get_by_role("button", name=WATTLE.name).click()


def choose(page, account, action):
    """Choose from the menu of an account, or of a bank."""
    page.get_by_label(f"More for {account}").click()
    page.get_by_role("link", name=action, exact=True).click()


def approve(page):
    """Approve on the bank's page, come back and finish."""
    page.get_by_role("heading", name="Link a bank").wait_for()
    expect(page.get_by_label(WATTLE.name)).to_be_checked()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Welcome back from the bank").wait_for()


def finish(page):
    page.get_by_role("button", name="Finish").click()
    page.wait_for_url("**/accounts")


def net_worth(page, site):
    page.goto(f"{site}/net-worth")
    page.get_by_role("heading", name="History").wait_for()
    return page.locator(".stat .big").first.inner_text()


def require_good(page, require_accessible):
    """Look at the page as it is on a desk and on a phone."""
    desk = page.viewport_size
    require_accessible(page)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url
    require_accessible(page)
    page.set_viewport_size(desk)


def test_bank_is_linked_read_renamed_and_removed(site, bank, home, page, sign_in, run_jobs):
    sign_in(page)
    before = net_worth(page, site)
    page.get_by_role("link", name="Bank accounts").click()
    page.get_by_role("heading", name="No bank yet").wait_for()
    go_to_bank(page, site)
    approve(page)
    finish(page)

    page.evaluate("window.kept = true")
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    run_jobs()
    page.get_by_text(f"Up to date: {WATTLE.name}").wait_for()
    page.locator(".tag", has_text="Linked").wait_for()
    assert page.evaluate("window.kept")  # without loading the page again
    expect(page.locator(".accounts tbody tr")).to_have_count(4)
    expect(page.locator(".toast[hx-get]")).to_have_count(0)  # nothing asks any more
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".toast")).to_have_count(0)

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
    choose(page, "Wattle Everyday", "Rename")
    page.get_by_label("Name").fill("Groceries")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("More for Groceries").wait_for()

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
    wrong = watch(page)

    sign_in(page)
    go_to_bank(page, site)
    approve(page)
    finish(page)
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    run_jobs()
    page.get_by_role("link", name="See how far it is").click()
    page.get_by_role("heading", name=WATTLE.name).wait_for()
    page.get_by_role("button", name="Refresh data").click()
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    run_jobs()
    page.reload()
    page.locator(".tag", has_text="Linked").wait_for()
    choose(page, "Wattle Everyday", "Rename")
    page.get_by_label("Name").fill("Groceries")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("More for Groceries").wait_for()
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


def test_bank_is_found_while_one_types_and_chosen_by_keyboard(site, bank, home, page, sign_in, require_accessible):
    sign_in(page)
    page.goto(f"{site}/link-to-bank")
    require_good(page, require_accessible)
    search = page.get_by_label("Bank's name")
    expect(search).to_be_focused()

    search.press_sequentially("seq")
    page.locator("#found", has_text="1 bank found").wait_for(state="attached")
    expect(page.locator(".banks .cut")).to_have_text([SEQUOIA.name])
    search.fill("no such bank")
    page.get_by_text("No bank here has").wait_for()
    require_good(page, require_accessible)
    search.fill("sequoia")
    page.get_by_role("button", name=SEQUOIA.name).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.get_by_role("heading", name="Link a bank").wait_for()
    expect(page.get_by_label(SEQUOIA.name)).to_be_checked()


def test_bank_is_found_without_scripts(site, bank, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False})
    page = context.new_page()
    sign_in(page)

    page.goto(f"{site}/link-to-bank")
    page.get_by_label("Bank's name").fill("sequoia")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/link-to-bank?q=sequoia")

    expect(page.locator(".banks .cut")).to_have_text([SEQUOIA.name])
    context.close()


@pytest.fixture
def read(bank, home, run_jobs):
    """Link a bank into the household's portfolio and read it; return its item at the bank."""
    with tenant(home.id):
        portfolio_id = Portfolio.objects.get().id
    started = integration.start_link(tenant_id=home.id, portfolio_id=portfolio_id, user_id=owner_id(home), at=now())
    token = public_token(bank)
    integration.complete_link(tenant_id=home.id, link_id=started.link_id, public_token=token, at=now())
    run_jobs()
    return bank.store.items()[0]


def test_revoked_bank_is_signed_in_to_again(site, bank, home, read, page, sign_in, run_jobs, require_accessible):
    bank.store.set_login_required(read.item_id, True)
    sign_in(page)
    page.goto(f"{site}/accounts")
    page.get_by_role("button", name="Refresh data").click()
    page.get_by_text(f"Waiting to read: {WATTLE.name}").wait_for()
    run_jobs()
    page.get_by_text(f"Not read: {WATTLE.name}").wait_for()
    page.locator(".tag", has_text="Needs a new sign-in").wait_for()
    require_good(page, require_accessible)

    page.get_by_role("button", name="Sign in again").click()
    page.get_by_text("asks you to sign in again").wait_for()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Welcome back from the bank").wait_for()
    finish(page)
    run_jobs()

    page.get_by_text(f"Up to date: {WATTLE.name}").wait_for()
    page.locator(".tag", has_text="Linked").wait_for()


def test_currency_is_chosen_and_twice_linked_banks_are_counted_once(
    site, bank, home, read, page, sign_in, run_jobs, require_accessible
):
    sign_in(page)
    page.goto(f"{site}/accounts")
    choose(page, "Wattle Saver", "Currency")
    page.get_by_text("nothing is converted").wait_for()
    require_good(page, require_accessible)
    page.get_by_role("combobox", name="Currency").fill("usd")
    page.get_by_role("button", name="Save currency").click()
    page.get_by_text("Currency saved").wait_for()
    run_jobs()
    page.get_by_text(f"Up to date: {WATTLE.name}").wait_for()
    page.get_by_text("•••• 0458 · USD").wait_for()

    go_to_bank(page, site)
    approve(page)
    finish(page)
    run_jobs()
    page.get_by_text("Linked already.").wait_for()
    expect(page.get_by_text("4 accounts at 1 bank.")).to_be_visible()
    require_good(page, require_accessible)
    page.get_by_role("link", name="Remove this link").click()
    page.get_by_role("button", name="Remove bank").click()
    run_jobs()
    page.get_by_text("Linked already.").wait_for(state="detached")


def test_good_news_leaves_unless_it_is_read(site, bank, home, read, page, sign_in, run_jobs):
    sign_in(page)
    page.clock.install()
    page.goto(f"{site}/accounts")
    page.evaluate("document.querySelector('h1').tabIndex = -1; document.querySelector('h1').focus()")
    page.get_by_role("button", name="Refresh data").click()
    said = page.locator(".toast.gain")
    for step in range(40):  # the page's clock stands still between these; the site's answers don't
        page.clock.run_for(500)
        if page.locator(".toast").count() and step > 2:
            run_jobs()
        if said.count():
            break
        page.wait_for_timeout(100)
    assert not said.evaluate("each => each.contains(document.activeElement)")

    said.hover()
    page.clock.run_for(9000)
    expect(said).to_be_visible()
    page.get_by_role("button", name="Dismiss").focus()
    page.mouse.move(5, 5)
    page.clock.run_for(9000)
    expect(said).to_be_visible()
    page.get_by_role("link", name="Link to bank").focus()
    page.clock.run_for(7000)
    expect(said).to_be_visible()
    page.clock.run_for(2000)
    expect(said).to_have_count(0)

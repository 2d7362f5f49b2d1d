"""Portfolios and what is kept by hand, as a person meets them."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import watch
from tests.factories import make_tenant

ZONE = "Australia/Sydney"


def create_portfolio(page, name):
    page.get_by_role("link", name="Portfolios", exact=True).click()
    page.get_by_role("link", name="Create a portfolio").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create portfolio").click()
    page.get_by_text("Portfolio created").wait_for()


def add_house(page, value):
    page.get_by_role("link", name="Property & other").first.click()
    page.get_by_role("link", name="Add property or other").click()
    page.get_by_label("Name").fill("House in Marrickville")
    page.get_by_label("Value, or amount owed").fill(value)
    page.get_by_role("button", name="Add", exact=True).click()


def test_house_counts_once_the_job_ran(site, database, page, sign_in, run_jobs):
    make_tenant(slug="home")
    sign_in(page)
    create_portfolio(page, "Family wealth")
    add_house(page, "$715,000.00")
    page.get_by_text("House in Marrickville added").wait_for()
    run_jobs()
    page.get_by_role("link", name="Net worth").click()
    expect(page.locator(".stat .big").first).to_have_text("$715,000.00")

    page.get_by_role("link", name="Property & other").click()
    page.get_by_role("link", name="House in Marrickville").click()
    page.get_by_label("Value in AUD").fill("785,000.5")
    page.get_by_role("button", name="Save value").click()
    page.get_by_text("Value saved").wait_for()
    page.get_by_role("link", name="Dismiss").click()
    page.get_by_text("Value saved").wait_for(state="detached")
    run_jobs()

    page.goto(f"{site}/net-worth")
    expect(page.locator(".stat .big").first).to_have_text("$785,000.50")
    page.goto(f"{site}/portfolios")
    expect(page.locator("tbody .num")).to_have_text(["$785,000.50"])


def test_bad_amount_is_explained_beside_the_field(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**browser_context_args)
    page = context.new_page()
    wrong = watch(page)
    sign_in(page)
    page.goto(f"{site}/assets")
    page.get_by_role("link", name="House", exact=True).click()
    page.get_by_label("Value in AUD").fill("12,40o")
    page.get_by_role("button", name="Save value").click()

    field = page.get_by_label("Value in AUD")
    words = "Enter an amount such as 1,234.50, with commas only between thousands."
    expect(field).to_have_accessible_description(re.compile(re.escape(words)))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("12,40o")
    assert [each for each in wrong if "422" not in each] == []  # the refusal itself, which the browser notes too
    context.close()


def test_all_works_without_scripts(site, database, browser, browser_context_args, sign_in, run_jobs):
    make_tenant(slug="home")
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False})
    page = context.new_page()
    wrong = watch(page)

    sign_in(page)
    create_portfolio(page, "Family wealth")
    page.get_by_label("Change Family wealth").click()
    page.get_by_role("link", name="Currency and time zone").click()
    page.get_by_label("Currency").fill("usd")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Currency and time zone saved").wait_for()
    add_house(page, "1,000")
    page.get_by_text("House in Marrickville added").wait_for()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("button", name="Close it").click()
    page.get_by_text("House in Marrickville closed").wait_for()
    page.get_by_role("heading", name="Closed").wait_for()

    assert wrong == []
    context.close()

"""Policies, receipts and tax years, as a person meets them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import watch


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_receipt_is_added_after_a_slip(site, home, browser, browser_context_args, sign_in, require_accessible, scheme):
    context = browser.new_context(**browser_context_args, color_scheme=scheme)
    page = context.new_page()
    wrong = watch(page)
    sign_in(page)
    page.get_by_role("link", name="Receipts").click()
    require_accessible(page)
    page.get_by_role("link", name="Add receipt").click()
    require_accessible(page)
    page.get_by_label("Merchant").fill("Tool Shed")
    page.get_by_label("Total").fill("89,00")
    page.get_by_role("button", name="Add receipt").click()

    field = page.get_by_label("Total")
    words = "Enter an amount such as 1,234.50, with commas only between thousands."
    expect(field).to_have_accessible_description(re.compile(re.escape(words)))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("89,00")
    require_accessible(page)

    field.fill("89.00")
    page.get_by_role("button", name="Add receipt").click()
    page.get_by_text("Receipt added").wait_for()
    require_accessible(page)
    page.get_by_role("link", name="Receipts").first.click()
    expect(page.locator("tbody .num")).to_have_text(["$89.00"])
    assert [each for each in wrong if "422" not in each] == []  # the refusal itself, which the browser notes too
    context.close()


def test_policy_comes_and_goes_without_scripts(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False})
    page = context.new_page()
    wrong = watch(page)
    sign_in(page)
    page.get_by_role("link", name="Insurance").click()
    page.get_by_role("link", name="Add policy").click()
    page.get_by_label("What it insures").select_option("Health")
    page.get_by_label("Insurer").fill("Southern Health")
    page.get_by_label("Premium").fill("219.85")
    page.get_by_role("button", name="Add policy").click()
    page.get_by_text("Policy added").wait_for()
    page.get_by_role("link", name="Insurance").first.click()
    expect(page.locator(".stat .big")).to_have_text("$2,638.20")
    page.get_by_role("link", name="Health, Southern Health").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Health, Southern Health deleted").wait_for()
    page.get_by_role("heading", name="No policies yet").wait_for()

    assert wrong == []
    context.close()

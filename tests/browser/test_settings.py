"""The settings as a person meets them, and what choosing a locale does to the other pages."""

import re

import pytest
from playwright.sync_api import expect

from services.core.models import Asset
from tenants.isolation import operator, tenant
from tenants.models import Membership, User
from tenants.permissions import Role
from tests.browser.test_pages import PHONE

PAGES = ["profile", "household", "security", "keys", "keys/new", "activity"]
NB = "\N{NO-BREAK SPACE}"


@pytest.fixture
def guest(home):
    with operator():
        guest = User.objects.create(email="zoe@home.example", name="Zoe")
        Membership.objects.create(tenant=home, user=guest, role=Role.VIEWER)


def exactly(text):
    """Return a pattern of that text alone, whose spaces are those in it: a text itself is compared with any space."""
    return re.compile(f"^{re.escape(text)}$")


def choose_german(page, site):
    page.goto(f"{site}/settings/profile")
    page.get_by_label("Name").fill("Alex")
    page.get_by_label("Language and region").select_option(label="German (Germany)")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Your settings are saved").wait_for()


def test_locale_is_that_of_text_chart_and_tooltip(site, home, page, sign_in):
    sign_in(page)
    page.locator("summary", has_text="Account of").click()
    page.get_by_role("link", name="Settings").click()
    page.wait_for_url("**/settings/profile")
    choose_german(page, site)

    page.goto(f"{site}/net-worth?range=all")

    amounts = [exactly(f"{amount}{NB}AU$") for amount in ("491.861,49", "733.422,17", "\u2212241.560,68")]
    expect(page.locator(".stat .big")).to_have_text(amounts)
    expect(page.locator(".stat .change").first).to_have_text(re.compile(rf"\+66,87{NB}%\s*$"))
    expect(page.locator(".y-labels text")).to_have_text(["0", "200.000", "400.000", "600.000", "800.000"])
    expect(page.locator(".x-labels text", has_text=re.compile(r"^(Jan\.|Juli) 20")).first).to_be_visible()
    chart = page.locator("[data-chart]")
    chart.focus()
    chart.press("End")
    day = page.locator(".as-table tbody th").first.text_content()
    assert day.count(".") == 2
    said = f"{day}: Portfolio 491.861,49{NB}AU$, Assets 733.422,17{NB}AU$, Debts \u2212241.560,68{NB}AU$"
    expect(chart.locator("[data-say]")).to_have_text(exactly(said))
    page.locator(".plot").hover(position={"x": 1, "y": 100})
    expect(page.locator(".tip b").nth(1)).to_have_text(re.compile(rf",17{NB}AU\$$"))
    expect(page.locator(".tip p")).to_have_text(re.compile(r"^\d+\.\d+\.\d+$"))


def test_amount_is_typed_as_it_is_shown(site, home, page, sign_in):
    sign_in(page)
    choose_german(page, site)
    with tenant(home.id):
        house = Asset.objects.get(name="House")
    page.goto(f"{site}/assets/{house.id}")
    page.get_by_label("Value in AUD").fill("1.234.567,89")
    page.get_by_role("button", name="Save value").click()

    page.get_by_text("Value saved").wait_for()
    expect(page.locator("td.strong").first).to_have_text(exactly(f"1.234.567,89{NB}AU$"))


def test_another_browser_is_signed_out(site, home, page, browser, browser_context_args, sign_in):
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605 Version/26 Safari/604"
    with browser.new_context(**browser_context_args, user_agent=phone) as context:
        other = context.new_page()
        sign_in(other)
        sign_in(page)
        page.goto(f"{site}/settings/security")
        rows = page.locator("tbody tr")
        expect(rows).to_have_text([re.compile("Chrome on Linux\\s+this one"), re.compile("Safari on an iPhone")])

        page.get_by_role("button", name="Sign out Safari on an iPhone").click()

        page.get_by_text("That browser is signed out").wait_for()
        expect(rows).to_have_count(1)
        other.reload()
        other.wait_for_url("**/sign-in")
        page.reload()
        page.get_by_role("heading", name="Where you are signed in").wait_for()


def make_key(page, site):
    page.goto(f"{site}/settings/keys/new")
    page.get_by_label("Name").fill("Spreadsheet")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("heading", name="API key created").wait_for()


@pytest.mark.long  # the guard of the pages looks at them in English
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_settings_are_accessible(site, home, guest, page, sign_in, require_accessible, scheme):
    page.emulate_media(color_scheme=scheme)
    sign_in(page)
    page.goto(f"{site}/settings/keys")
    require_accessible(page)
    make_key(page, site)
    require_accessible(page)
    choose_german(page, site)
    for path in PAGES:
        page.goto(f"{site}/settings/{path}")
        require_accessible(page)
    page.goto(f"{site}/settings/keys")
    page.get_by_role("link", name="Revoke Spreadsheet").click()
    page.get_by_role("heading", name="Revoke Spreadsheet?").wait_for()
    require_accessible(page)


def test_settings_fit_a_phone(site, home, guest, page, sign_in):
    page.set_viewport_size(PHONE)
    sign_in(page)
    make_key(page, site)
    choose_german(page, site)
    for path in [*(f"/settings/{path}" for path in PAGES), "/", "/net-worth?range=all"]:
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        ends = page.locator(".big .num, .accounts .num").evaluate_all(
            "found => found.map(each => each.getBoundingClientRect().right)"
        )
        assert max(ends, default=0) <= PHONE["width"] - 16, path


def test_settings_work_without_scripts(site, home, browser, browser_context_args, sign_in):
    with browser.new_context(**{**browser_context_args, "java_script_enabled": False}) as context:
        page = context.new_page()
        sign_in(page)
        choose_german(page, site)
        page.get_by_role("link", name="API keys").click()
        page.get_by_role("link", name="New key").click()
        page.get_by_role("button", name="Create key").click()
        page.get_by_text("Enter a name.").wait_for()
        page.get_by_label("Name").fill("Spreadsheet")
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_label("Spreadsheet")).to_have_value(re.compile("^ff_"))
        page.get_by_role("link", name="I have copied it").click()
        page.get_by_role("link", name="Revoke Spreadsheet").click()
        page.get_by_role("button", name="Revoke key").click()
        page.get_by_text("Spreadsheet is revoked").wait_for()

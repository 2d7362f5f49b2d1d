"""The pages as a person meets them. Each also fails on a violated policy, a script's error or a refused request."""

import datetime as dt

from playwright.sync_api import expect

from services.accounts.models import SignInToken
from tenants.isolation import operator
from tests.browser.conftest import EMAIL, link_in_mail, watch

PHONE = {"width": 360, "height": 740}


def ask_for_link(page, site):
    page.goto(f"{site}/sign-in")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", name="Check your mail").wait_for()
    return link_in_mail(site)


def test_dashboard(site, home, page, sign_in):
    sign_in(page)

    expect(page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_text(
        [
            "Dashboard",
            "Bank accounts",
            "Property & other",
            "Net worth",
            "Portfolios",
            "Insurance",
            "Receipts",
            "Videos",
            "Taxation",
        ]
    )
    expect(page.locator(".stat .big")).to_have_text(["$733,422.17", "\u2212$241,560.68"])
    rows = [
        "EA Everyday account with a rather long name Kept by hand up ▲ +2.35% $18,422.17",
        "HO House Kept by hand $715,000.00",
        "HL Home loan Kept by hand \u2212$241,560.68",
    ]
    expect(page.locator(".accounts tbody tr")).to_have_text(rows, use_inner_text=True)


def test_net_worth_is_read_by_keyboard_and_pointer(site, home, page, sign_in):
    sign_in(page)
    page.get_by_role("link", name="Net worth").click()
    page.get_by_role("heading", name="Net worth").first.wait_for()
    expect(page.locator(".stat .big")).to_have_text(["$491,861.49", "$733,422.17", "\u2212$241,560.68"])

    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Past month", exact=True).click()
    page.wait_for_url("**/net-worth?range=1m")
    page.locator("#range-1m[aria-current]").wait_for()
    assert page.evaluate("window.kept")  # without loading the page again
    chart = page.locator("[data-chart]")
    chart.focus()
    chart.press("End")
    said = chart.locator("[data-say]")
    expect(said).to_contain_text("Portfolio $491,861.49, Assets $733,422.17, Debts \u2212$241,560.68")
    chart.press("ArrowLeft")
    expect(said).to_contain_text("Assets $733,172.17")
    page.locator(".plot").hover(position={"x": 1, "y": 100})
    expect(page.locator(".tip")).to_contain_text("Portfolio")
    page.go_back()
    page.get_by_role("heading", name="History").wait_for()


def test_phone_has_a_menu(site, home, page, sign_in, require_accessible):
    page.set_viewport_size(PHONE)
    sign_in(page)
    amount = page.locator(".accounts td.strong").first.bounding_box()
    assert 340 >= amount["x"] + amount["width"] >= 320

    page.get_by_role("button", name="Menu").click()
    require_accessible(page)
    page.get_by_role("link", name="Net worth").click()
    page.wait_for_url("**/net-worth")
    page.get_by_role("button", name="Menu").click()
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()


def test_all_works_without_scripts(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False, "viewport": PHONE})
    page = context.new_page()
    wrong = watch(page)

    sign_in(page)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Net worth").click()
    page.get_by_role("link", name="Past 3 months").click()
    page.wait_for_url("**/net-worth?range=3m")
    page.locator(".as-table summary").click()
    newest = page.locator(".as-table tbody tr").first.locator("td")
    expect(newest).to_have_text(["$491,861.49", "$733,422.17", "\u2212$241,560.68"])
    page.get_by_role("button", name="Menu").click()
    page.locator("summary", has_text="Account of").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="Sign in").wait_for()

    assert wrong == []
    context.close()


def test_colours_can_be_chosen(site, home, page, sign_in):
    sign_in(page)
    background = "getComputedStyle(document.documentElement).backgroundColor"
    seen = [page.evaluate(background)]
    for choice in ("Dark", "Light", "As the system"):
        page.get_by_label("Colours").first.click()
        page.get_by_role("button", name=choice).click()
        page.reload()
        seen.append(page.evaluate(background))

    light, dark = "rgb(250, 250, 249)", "rgb(15, 14, 13)"
    assert seen == [light, dark, light, light]


def test_signed_out_comes_back_to_the_wanted_page(site, home, page):
    page.goto(f"{site}/net-worth?range=3m")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Check your mail").wait_for()
    page.goto(link_in_mail(site))
    page.get_by_role("button", name="Sign in").click()

    page.wait_for_url("**/net-worth?range=3m")
    page.get_by_role("heading", name="History").wait_for()


def expect_refused(browser, link):
    """Press the button behind the link in a new browser; see that it is refused."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading")).to_have_text("You are not signed in")
        words = "This link was used before, or is older than ten minutes."
        expect(page.locator("main p").first).to_have_text(words)


def test_link_works_once(site, home, page, browser, sign_in):
    sign_in(page)

    expect_refused(browser, link_in_mail(site))


def test_changed_link_does_not_work(site, home, page, browser):
    link = ask_for_link(page, site)

    expect_refused(browser, link[:-4] + "AAAA")


def test_old_link_does_not_work(site, home, page, browser):
    link = ask_for_link(page, site)
    with operator():
        SignInToken.objects.update(expires_at=SignInToken.objects.get().created_at - dt.timedelta(seconds=1))

    expect_refused(browser, link)


def test_documentation_of_the_api_keeps_the_policy(site, page):
    page.goto(f"{site}/api/v1/docs")
    page.locator(".opblock-summary").nth(1).click()
    page.get_by_role("button", name="Try it out").wait_for()


def test_policy_allows_nothing_inline(site, page):
    policy = page.request.get(f"{site}/sign-in").headers["content-security-policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy

"""The pages as a person meets them. Each also fails on a violated policy, a script's error or a refused request."""

import datetime as dt

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

    assert page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts() == [
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
    assert page.locator(".stat .big").all_inner_texts() == ["$733,422.17", "\u2212$241,560.68"]
    rows = page.locator(".accounts tbody tr").evaluate_all(
        "rows => rows.map(row => row.innerText.replace(/\\s+/g, ' '))"
    )
    assert rows == [
        "EA Everyday account with a rather long name Kept by hand up ▲ +2.35% $18,422.17",
        "HO House Kept by hand $715,000.00",
        "HL Home loan Kept by hand \u2212$241,560.68",
    ]


def test_net_worth_is_read_by_keyboard_and_pointer(site, home, page, sign_in):
    sign_in(page)
    page.get_by_role("link", name="Net worth").click()
    page.get_by_role("heading", name="Net worth").first.wait_for()
    assert page.locator(".stat .big").all_inner_texts() == ["$491,861.49", "$733,422.17", "\u2212$241,560.68"]

    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Past month", exact=True).click()
    page.wait_for_url("**/net-worth?range=1m")
    page.locator("#range-1m[aria-current]").wait_for()
    assert page.evaluate("window.kept")  # without loading the page again
    chart = page.locator("[data-chart]")
    chart.focus()
    chart.press("End")
    assert (
        "Portfolio $491,861.49, Assets $733,422.17, Debts \u2212$241,560.68" in chart.locator("[data-say]").inner_text()
    )
    chart.press("ArrowLeft")
    assert "Assets $733,172.17" in chart.locator("[data-say]").inner_text()
    page.locator(".plot").hover(position={"x": 1, "y": 100})
    assert "Portfolio" in page.locator(".tip").inner_text()
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
    assert not page.locator("#side").is_visible()


def test_all_works_without_scripts(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False, "viewport": PHONE})
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong = watch(page)

    sign_in(page)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Net worth").click()
    page.get_by_role("link", name="Past 3 months").click()
    page.wait_for_url("**/net-worth?range=3m")
    page.locator(".as-table summary").click()
    assert page.locator(".as-table tbody tr").first.inner_text().endswith("$491,861.49\t$733,422.17\t\u2212$241,560.68")
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


def refused(browser, link):
    """Press the button behind the link in a new browser; return what is said."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        return page.get_by_role("heading").inner_text(), page.locator("main p").first.inner_text()


NO = ("You are not signed in", "This link was used before, or is older than ten minutes.")


def test_link_works_once(site, home, page, browser, sign_in):
    sign_in(page)

    assert refused(browser, link_in_mail(site)) == NO


def test_changed_link_does_not_work(site, home, page, browser):
    link = ask_for_link(page, site)

    assert refused(browser, link[:-4] + "AAAA") == NO


def test_old_link_does_not_work(site, home, page, browser):
    link = ask_for_link(page, site)
    with operator():
        SignInToken.objects.update(expires_at=SignInToken.objects.get().created_at - dt.timedelta(seconds=1))

    assert refused(browser, link) == NO


def test_documentation_of_the_api_keeps_the_policy(site, page):
    page.set_default_timeout(30_000)  # it draws every operation first
    page.goto(f"{site}/api/v1/docs")
    page.locator(".opblock-summary").nth(1).click()
    page.get_by_role("button", name="Try it out").wait_for()


def test_policy_allows_nothing_inline(site, page):
    policy = page.request.get(f"{site}/sign-in").headers["content-security-policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy

"""Choosing the currency that totals are shown in, and waiting for a history, as a person does."""

import datetime as dt

import pytest
from playwright.sync_api import expect

from fatfire.kit.clock import local_date, now
from services.core.models import Portfolio
from services.history.models import PortfolioDay
from services.integration.models import Link, LinkState
from tenants.isolation import tenant
from tests.browser.test_pages import PHONE
from tests.services.history.rolling import add_rates


@pytest.fixture
def rates(database):
    """Make rates of every day of the past two years: the same, but for yesterday."""
    today = local_date(now(), "Australia/Sydney")
    add_rates({(code, today - dt.timedelta(days=age)): "1.2" for age in range(800) for code in ("AUD", "USD")})
    add_rates({("AUD", today): "1.5", ("AUD", today - dt.timedelta(days=1)): "2.4", ("SEK", today): "11"})


def test_currency_changes_cards_chart_and_table(site, home, rates, page, sign_in, require_accessible):
    sign_in(page)
    page.goto(f"{site}/net-worth")
    page.get_by_role("link", name="Past month", exact=True).click()
    page.locator("#range-1m[aria-current]").wait_for()

    menu = page.locator("header summary", has_text="Shown in")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="AUD Australian Dollar · Family wealth").wait_for()
    require_accessible(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="EUR Euro")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    menu.click()
    page.get_by_role("button", name="USD").click()

    page.wait_for_url("**/net-worth?range=1m")  # where htmx had gone
    expect(page.locator(".stat .big")).to_have_text(["US$393,489.20", "US$586,737.74", "\u2212US$193,248.54"])
    chart = page.locator("[data-chart]")
    chart.focus()
    chart.press("ArrowLeft")
    said = "Portfolio US$245,795.75, Assets US$366,586.09, Debts \u2212US$120,790.34"
    expect(chart.locator("[data-say]")).to_contain_text(said)
    page.locator(".as-table summary").click()
    newest = page.locator(".as-table tbody tr").first.locator("td")
    expect(newest).to_have_text(["US$393,489.20", "US$586,737.74", "\u2212US$193,248.54"])
    page.get_by_text("Shown in USD, converted at the daily rates").wait_for()
    page.goto(site)
    expect(page.locator(".stat .big")).to_have_text(["US$586,737.74", "\u2212US$193,248.54"])
    require_accessible(page)


def test_estimated_days_and_what_needs_attention(site, home, rates, page, sign_in, require_accessible):
    with tenant(home.id):
        portfolio = Portfolio.objects.get()
        PortfolioDay.objects.filter(day=local_date(now(), portfolio.time_zone)).update(estimated=True)
        Link.objects.create(
            portfolio=portfolio, provider="plaid", state=LinkState.REVOKED, institution="Hooli", item_id="1",
            access_token=b"sealed",
        )  # fmt: skip
    page.set_viewport_size(PHONE)
    sign_in(page)

    page.get_by_role("heading", name="Needs attention").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    require_accessible(page)
    page.emulate_media(color_scheme="dark")
    require_accessible(page)
    page.goto(f"{site}/net-worth")
    chart = page.locator("[data-chart]")
    chart.press("End")
    expect(chart.locator("[data-say]")).to_contain_text(" (estimated): Portfolio")
    chart.press("ArrowLeft")
    expect(chart.locator("[data-say]")).not_to_contain_text("estimated")
    page.goto(site)
    page.get_by_role("link", name="Hooli wants a new sign-in").click()
    page.wait_for_url("**/accounts#bank-*")


def test_page_updates_itself_once_the_history_is_worked_out(site, home, rates, page, sign_in, run_jobs):
    with tenant(home.id):
        portfolio = Portfolio.objects.get()
    sign_in(page)
    page.goto(f"{site}/portfolios/{portfolio.id}/currency")
    page.get_by_label("Currency").last.fill("USD")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Currency and time zone saved").wait_for()
    page.goto(f"{site}/net-worth")
    page.get_by_text("The history is being worked out again").wait_for()
    expect(page.locator(".stat .big").first).to_have_text("US$393,489.20")

    run_jobs()

    page.get_by_text("The history is being worked out again").wait_for(state="detached")
    expect(page.locator(".stat .big").first).to_have_text("US$393,489.20")

"""A browser on the real site: Debian's Chromium, the WSGI application in a thread, this process's database."""

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from django.core.wsgi import get_wsgi_application
from django.db import connections
from playwright.sync_api import Page, expect

from fatfire.kit.clock import local_date, now
from fatfire.kit.serving import Server
from services.core import operations as core
from services.core.models import AssetKind, Portfolio, Side
from services.history.models import AssetDay, PortfolioDay
from tenants.isolation import tenant
from tenants.models import Tenant
from tests.browser.checks import RULES
from tests.factories import make_asset, make_portfolio, make_tenant
from tests.sign_in import send_links

# pytest-playwright keeps an event loop in this thread, where Django would refuse to query.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
EMAIL = "owner@home.example"
expect.set_options(timeout=30_000)  # as long as Playwright waits for anything else


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on a machine without the browser; in CI go on, and fail."""
    if CHROMIUM or os.environ.get("CI") == "true":
        return
    for item in items:
        if "/browser/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason="no Chromium: apt-get install chromium-headless-shell"))


@pytest.fixture(scope="session")
def base_url() -> None:
    """Stand in for pytest-playwright's own, at which pytest 9 warns; each test has a site of its own."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    assert CHROMIUM, "no Chromium: apt-get install chromium-headless-shell"
    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    args = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--font-render-hinting=none",
        "--lang=en-AU",
        *quiet,
        nowhere,
    ]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": args}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict) -> dict:
    desk = {"viewport": {"width": 1280, "height": 860}, "locale": "en-AU", "timezone_id": "Australia/Sydney"}
    return {**browser_context_args, **desk, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def application():
    # The server's threads end with each test: their connections must not outlive the request.
    for database in connections.settings.values():
        database["CONN_MAX_AGE"] = 0
    return get_wsgi_application()


@pytest.fixture
def site(application, database, settings) -> Iterator[str]:
    """Serve the site on this test's database; return its address."""
    with Server(application, 0) as server:
        settings.SITE_URL = settings.CONSOLE_URL = server.url
        yield server.url


def watch(page: Page) -> list[str]:
    """Return the list that everything wrong with the page is added to: policy, scripts, answers of 400 and up."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    return wrong


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """Return a page that fails its test when anything is wrong with it."""
    wrong = watch(page)
    yield page
    assert wrong == []


@pytest.fixture
def home(database) -> Tenant:
    """Return a household with accounts and two years of history."""
    home = make_tenant(slug="home")
    with tenant(home.id):
        _fill(make_portfolio(name="Family wealth"))
    return home


def _fill(portfolio: Portfolio) -> None:
    today = local_date(now(), portfolio.time_zone)
    cash = make_asset(portfolio, name="Everyday account with a rather long name", kind=AssetKind.BANK_ACCOUNT)
    house = make_asset(portfolio, name="House", kind=AssetKind.PROPERTY)
    loan = make_asset(portfolio, name="Home loan", kind=AssetKind.LOAN, side=Side.DEBT)
    for asset, value in ((cash, "18422.17"), (house, "715000"), (loan, "-241560.68")):
        core.set_value(asset_id=asset.id, on=today, value=Decimal(value), at=now())
    ages = [(age, today - dt.timedelta(days=age)) for age in range(730, -1, -1)]
    PortfolioDay.objects.bulk_create(
        PortfolioDay(
            portfolio=portfolio,
            day=day,
            currency="AUD",
            assets=Decimal("733422.17") - age * 250,
            debts=Decimal("-241560.68") - age * 20,
            estimated=False,
            missing=0,
        )
        for age, day in ages
    )
    AssetDay.objects.bulk_create(
        AssetDay(asset=cash, day=day, value=Decimal(18000), estimated=False) for _, day in ages[-40:]
    )


def link_in_mail(site: str) -> str:
    """Let the mail be sent, and return the link in the newest."""
    send_links()
    return re.search(rf"{site}/sign-in/\S+", mail.outbox[-1].body)[0]


@pytest.fixture
def sign_in(site) -> Callable[[Page], None]:
    """Return what signs the page's browser in, as a person would, and leaves it on the dashboard."""

    def go(page: Page) -> None:
        page.goto(f"{site}/sign-in")
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_role("button", name="Send me a link").click()
        page.get_by_role("heading", name="Check your mail").wait_for()
        page.goto(link_in_mail(site))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Good").wait_for()

    return go


@pytest.fixture
def require_accessible() -> Callable[[Page], None]:
    def run(page: Page) -> None:
        found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []

    return run

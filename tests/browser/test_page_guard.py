"""The guard of the pages: it finds every page by its URL, and looks at it as people do.

Light and dark, on a desk and on a phone: accessible, no wider than the screen, true to the policy, with a focus that
is seen; and whole without scripts. That the guard would find a fault is shown by faults made for it.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser import catalogue, planted
from tests.browser.catalogue import Look, left_over, looks, missing, urls
from tests.browser.checks import SIZES, faults, faults_without_scripts, refusal, visit
from tests.browser.world import running_world
from tests.conftest import delete_all_rows

LOOKS = {str(look): look for look in looks()}


@pytest.fixture(scope="module")
def world(application, django_db_blocker, admin, tmp_path_factory):
    with django_db_blocker.unblock():
        with running_world(application, tmp_path_factory.mktemp("world")) as made:
            yield made
        delete_all_rows(admin)


@pytest.fixture(scope="module")
def context_of(world, browser, browser_context_args):
    """Return what gives the browser of one of the world's people, with scripts or without."""
    made: dict[tuple[str, bool], BrowserContext] = {}

    def get(who: str, *, scripts: bool) -> BrowserContext:
        if (who, scripts) not in made:
            made[who, scripts] = browser.new_context(**browser_context_args, java_script_enabled=scripts)
            if who:
                cookie = {"name": "sessionid", "value": world.cookies[who], "url": world.url}
                made[who, scripts].add_cookies([cookie])
        return made[who, scripts]

    yield get
    for each in made.values():
        each.close()


@pytest.fixture
def check(world, context_of) -> Callable[..., list[str]]:
    """Return what tells the faults of a look, with scripts and without."""

    def run(look: Look, *, thorough: bool = False) -> list[str]:
        address = world.address(look)
        with (
            visit(context_of(look.who, scripts=True), address, look.act) as scripted,
            visit(context_of(look.who, scripts=False), address, look.act) as plain,
        ):
            if refused := refusal(scripted, look):
                return refused
            missed = faults_without_scripts(scripted, plain)
            return faults(scripted, thorough=thorough) + missed

    return run


@pytest.mark.parametrize("look", [each for each in LOOKS.values() if not each.state], ids=str)
def test_page_is_good(look, check):
    assert check(look) == []


@pytest.mark.long
@pytest.mark.parametrize("look", [each for each in LOOKS.values() if each.state], ids=str)
def test_page_is_good_in_every_state(look, check):
    assert check(look, thorough=True) == []


def test_every_url_is_looked_at():
    assert missing() == []
    assert left_over() == set()
    assert len(LOOKS) == len(looks()) > 40


# Planted faults: each must be found.

PLANTED = {
    "low-contrast": ["light, desk: axe color-contrast", "dark, phone: axe color-contrast"],
    "inline-style": ["Applying inline style violates"],
    "inline-script": ["Executing inline script violates"],
    "foreign-image": ["Loading the image 'http://127.0.0.1:9/x.png' violates"],
    "missing-file": ["/planted/nothing.png"],
    "script-error": ["planted to break"],
    "wide": ["light, phone: 7", "dark, phone: 7"],
    "unlabelled": ["axe label"],
    "password": ["a field for a password"],
    "two-headings": ["2 h1 that are seen"],
    "small-targets": ["axe target-size"],
    "no-focus": ["""light, desk: the focus isn't seen on <a class="unseen""", "dark, desk: the focus isn't seen"],
    "script-only-text": ["without scripts words are without ['$12']"],
    "script-only-button": ["a button that needs a script"],
    "script-only-link": ["what needs a script: <a"],
    "unsendable-form": ["a form without a button"],
    "heavy": ["bytes, compressed"],
}


@pytest.fixture(scope="module")
def found(world, context_of) -> list[str]:
    """Return what is found on the page that has all faults at once."""
    address = f"{world.url}/planted/page/all"
    with (
        visit(context_of("", scripts=True), address) as scripted,
        visit(context_of("", scripts=False), address) as plain,
    ):
        missed = faults_without_scripts(scripted, plain)
        return faults(scripted) + missed


@pytest.mark.parametrize(("fault", "words"), PLANTED.items(), ids=PLANTED.keys())
def test_fault_is_found(fault, words, found):
    assert [each for each in words if not any(each in sentence for sentence in found)] == [], found


def test_page_without_faults_has_none(check):
    assert planted.FAULTS.keys() == PLANTED.keys()
    assert check(Look(who="", path="/planted/page/none")) == []


def test_page_without_title_and_way_past_the_menu_is_found(check):
    found = check(Look(who="", path="/planted/bare"))

    assert "no title" in found
    assert "0 h1 that are seen" in found
    assert "light, desk: the first thing reached by Tab doesn't lead to main" in found


def test_url_that_takes_only_forms_is_found(check, monkeypatch):
    monkeypatch.delitem(catalogue.NO_PAGES, "sign-out")
    look = next(each for each in looks() if each.url == "sign-out")

    assert check(look)[0].startswith("answered 405, not 200; if it is no page to open, say so in NO_PAGES")


def test_page_that_nobody_looks_at_is_found():
    (words,) = missing("tests.browser.planted")

    assert words.startswith("no look at planted: add how its arguments are found to PAGES")
    assert {"planted", "planted-bare", "planted-breaks"} <= urls("tests.browser.planted").keys()
    assert "planted-bare" in {each.url for each in looks("tests.browser.planted")}


def test_page_that_is_gone_is_found(monkeypatch):
    monkeypatch.setitem(catalogue.PAGES, "pets", (Look(),))
    monkeypatch.setitem(catalogue.NO_PAGES, "zoo:", "not there")

    assert left_over() == {"pets", "zoo:"}


def test_skip_link_is_reached_and_leads_past_the_menu(world, context_of):
    with visit(context_of("owner", scripts=True), f"{world.url}/accounts") as seen:
        seen.page.set_viewport_size(SIZES["desk"])
        seen.page.keyboard.press("Tab")
        expect(seen.page.get_by_role("link", name="Skip to content")).to_be_focused()
        seen.page.keyboard.press("Enter")
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator("main :focus")).to_have_count(1)

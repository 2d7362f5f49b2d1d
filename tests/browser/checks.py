"""What must be true of every page: checked in a browser, with scripts and without, told in words."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Error, Page, Response

from tests.browser.catalogue import Look

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desk": {"width": 1280, "height": 860}, "phone": {"width": 360, "height": 740}}
MOST_BYTES = 40_000
"""Of all that a page loads beside its own words, people's own files and the font, compressed."""

_SHOWN = (("light", "desk", RULES), ("dark", "phone", RULES))
_ALSO_SHOWN = (("light", "phone", ["color-contrast"]), ("dark", "desk", ["color-contrast"]))
"""Colours are what depends on scheme and width together: where there is time, they are asked of the rest too."""

_AXE = "rules => axe.run({ runOnly: rules, resultTypes: ['violations'], elementRef: false })"

_FORM = """() => ({
  title: document.title.split("·")[0].trim(),
  headings: [...document.querySelectorAll("h1")].filter(each => each.checkVisibility()).length,
  passwords: document.querySelectorAll("[type=password], [autocomplete*=password], [name*=password i]").length,
  files: performance.getEntriesByType("resource").map(each => each.name),
})"""

# What has the focus must be seen to have it; the first such thing leads past the menu.
_FOCUS = """() => {
  const wanted = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const unseen = [];
  scrollTo(0, 0);
  const before = document.activeElement;
  const them = [...document.querySelectorAll(wanted)].filter(each => each.checkVisibility() && !each.disabled);
  const first = them[0];
  let skips = false;
  for (const each of them) {
    each.focus({ focusVisible: true, preventScroll: true });
    const style = getComputedStyle(each);
    if (document.activeElement !== each) continue;
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) unseen.push(each.outerHTML.slice(0, 90));
    if (each === first && each.hash) {
      const box = each.getBoundingClientRect();
      const target = document.querySelector(each.hash);
      skips = box.left >= 0 && box.top >= 0 && box.width > 0 && target !== null && target.tabIndex === -1
        && target.matches("main");
    }
  }
  if (before && before !== document.body) before.focus({ preventScroll: true });
  else document.activeElement.blur();
  return { unseen, skips };
}"""

# What a reader is told, and what can be sent: the same with scripts and without.
_CONTENT = """() => {
  const all = selector => [...document.querySelectorAll(`main :is(${selector})`)];
  const seen = selector => all(selector).filter(each => each.checkVisibility());
  const text = each => each.textContent.replace(/\\s+/g, " ").trim();
  return {
    words: seen("h1, h2, h3, p:not(noscript *), td, th, li, .big, figcaption, label").map(text),
    drawn: seen("svg path, svg rect, svg text").length,
    fields: seen("input, select, textarea").map(each => each.name),
    buttons: seen("button:not([type=button])").map(text),
  };
}"""

_ALONE = """() => {
  const seen = selector => [...document.querySelectorAll(selector)].filter(each => each.checkVisibility());
  const html = each => each.outerHTML.slice(0, 90);
  const asks = "[hx-get], [hx-post], [hx-put], [hx-patch], [hx-delete]";
  return [
    ...seen("form").filter(each => !each.querySelector("button:not([type=button]), [type=submit]"))
      .map(each => `a form without a button: ${html(each)}`),
    ...seen("button[type=button]").filter(each => !each.hasAttribute("popovertarget"))
      .map(each => `a button that needs a script: ${html(each)}`),
    ...seen(`a:is(${asks}), button:is(${asks}), form:is(${asks})`)
      .filter(each => !each.matches("a[href], form[action], form[method=post] *, form[action] *"))
      .map(each => `what needs a script: ${html(each)}`),
  ];
}"""


@dataclass
class Visit:
    """A page in the browser, the answers that led to it, and what the browser found wrong with it on the way."""

    page: Page
    answers: list[Response] = field(default_factory=list)
    complaints: list[tuple[str, str]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Return the shown document's."""
        return self.answers[-1].status

    def wrong(self) -> list[str]:
        """Return the complaints; that a document was refused is none, its status is checked."""
        documents = {answer.url for answer in self.answers}
        refused = "Failed to load resource: the server responded with a status of"
        return [text for text, url in self.complaints if not (text.startswith(refused) and url in documents)]


@contextmanager
def visit(context: BrowserContext, address: str, act: Callable[[Page], None] | None = None) -> Iterator[Visit]:
    """Open a page of the context at the address, and do what the person does there."""
    page = context.new_page()
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    seen = Visit(page)
    _listen(page, seen)
    try:
        _go(page, address)
        if act:
            act(page)
            page.wait_for_load_state("load")
        yield seen
    finally:
        page.close()


def _go(page: Page, address: str) -> None:
    try:
        page.goto(address)
    except Error as error:
        if (
            "ERR_HTTP_RESPONSE_CODE_FAILURE" not in error.message
        ):  # a refusal without a word, of which the status is kept
            raise


def _listen(page: Page, seen: Visit) -> None:
    def note_answer(answer: Response) -> None:
        if answer.request.is_navigation_request() and answer.status not in range(300, 400):
            seen.answers.append(answer)
        elif answer.status >= 400:
            seen.complaints.append((f"{answer.status} {answer.url}", ""))

    def note_message(message: Any) -> None:
        if message.type in {"error", "warning"}:
            seen.complaints.append((message.text, message.location["url"]))

    page.on("response", note_answer)
    page.on("console", note_message)
    page.on("pageerror", lambda error: seen.complaints.append((str(error), "")))


def refusal(seen: Visit, look: Look) -> list[str]:
    """Return what to do when the page isn't shown."""
    if seen.status == look.status:
        return []
    return [
        f"answered {seen.status}, not {look.status}; if it is no page to open, say so in NO_PAGES of "
        "tests/browser/catalogue.py"
    ]


def faults(seen: Visit, *, thorough: bool = True) -> list[str]:
    """Return what is wrong with the page: light on a desk, dark on a phone; and where `thorough` the other way too."""
    page = seen.page
    form = page.evaluate(_FORM)
    found = [*seen.wrong()]
    found += [] if form["title"] else ["no title"]
    found += [] if form["headings"] == 1 else [f"{form['headings']} h1 that are seen"]
    found += ["a field for a password"] if form["passwords"] else []
    found += [] if (weight := _weight(seen, form["files"])) <= MOST_BYTES else [f"{weight} bytes, compressed"]
    page.evaluate(AXE_SCRIPT)
    for scheme, width, rules in (*_SHOWN, *(_ALSO_SHOWN if thorough else ())):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(SIZES[width])
        found += [f"{scheme}, {width}: {each}" for each in _faults_as_shown(page, SIZES[width]["width"], rules)]
    return found


def _faults_as_shown(page: Page, width: int, rules: list[str]) -> list[str]:
    wide = page.evaluate("document.documentElement.scrollWidth")
    found = [f"{wide} px wide"] if wide > width else []
    focus = page.evaluate(_FOCUS)
    found += [f"the focus isn't seen on {each}" for each in focus["unseen"]]
    found += [] if focus["skips"] else ["the first thing reached by Tab doesn't lead to main"]
    for violation in page.evaluate(_AXE, rules)["violations"]:
        found.append(f"axe {violation['id']}: {[node['target'] for node in violation['nodes']]}")
    return found


def _weight(seen: Visit, files: list[str]) -> int:
    """Return the compressed size of the styles, scripts and pictures, but for what people have sent themselves."""
    origin = urljoin(seen.page.url, "/")
    ours = {each for each in files if each.startswith(origin) and not each.startswith(f"{origin}files/")}
    return sum(_size(seen.page, each) for each in ours if not each.endswith(".woff2"))


_SIZES: dict[str, int] = {}


def _size(page: Page, address: str) -> int:
    """Return a file's compressed size; it is asked for once."""
    if address not in _SIZES:
        _SIZES[address] = len(gzip.compress(page.request.get(address).body()))
    return _SIZES[address]


def faults_without_scripts(scripted: Visit, plain: Visit) -> list[str]:
    """Return what the page without scripts lacks of what it has with them."""
    if plain.status != scripted.status:
        return [f"without scripts: answered {plain.status}"]
    found = plain.wrong()
    found += [f"without scripts: {each}" for each in plain.page.evaluate(_ALONE)]
    with_them, without = (each.page.evaluate(_CONTENT) for each in (scripted, plain))
    found += [
        f"without scripts {name} are {_difference(with_them[name], without[name])}"
        for name in with_them
        if with_them[name] != without[name]
    ]
    return found


def _difference(wanted: Any, got: Any) -> str:
    if isinstance(wanted, list):
        missing, more = [each for each in wanted if each not in got], [each for each in got if each not in wanted]
        return f"without {missing} and with {more}"
    return f"{got} instead of {wanted}"

"""The pictures of the pages.

`make screens` writes one of every page, light, dark and on a phone, into .data/screens/; `make pictures` the README's.
Not a test: pytest runs it because the site, the households and the browser are the guard's.
"""

from html import escape
from pathlib import Path

from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Page

from tests.browser.catalogue import looks
from tests.browser.checks import SIZES, visit
from tests.browser.test_page_guard import context_of, world  # noqa: F401  # fixtures

BASE_DIR = Path(__file__).resolve().parents[2]
SCREENS = BASE_DIR / ".data" / "screens"
PICTURES = BASE_DIR / "docs" / "pictures"
KINDS = {"light": ("light", "desk"), "dark": ("dark", "desk"), "phone": ("light", "phone")}
IN_THE_README = {"dashboard": ("light", "dark"), "net-worth": ("light", "dark", "phone"), "accounts": ("light", "dark")}
MOST_BYTES = 150_000

_SHEET = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Screens</title>
<style>body {{ font: 14px sans-serif; margin: 24px }} section {{ display: flex; gap: 16px; align-items: start }}
img {{ height: 420px; border: 1px solid #ccc }}</style><h1>{count} pages</h1>{sections}</html>"""


def test_screens(world, context_of, capsys):  # noqa: F811
    SCREENS.mkdir(parents=True, exist_ok=True)
    for old in SCREENS.glob("*.png"):
        old.unlink()
    names = []
    for look in looks():
        with visit(context_of(look.who, scripts=True), world.address(look), look.act) as seen:
            assert seen.status == look.status, look
            for kind in KINDS:
                _take(seen.page, kind, SCREENS / f"{look}-{kind}.png", full_page=True)
        names.append(str(look))
        with capsys.disabled():
            print(look)
    for name, path in _console():
        with visit(context_of("operator", scripts=True), world.url + path) as seen:
            assert seen.status == 200, name
            for kind, (scheme, _) in KINDS.items():
                seen.page.emulate_media(color_scheme=scheme)
                seen.page.reload()  # the console's theme asks for the scheme when it is loaded
                _take(seen.page, kind, SCREENS / f"{name}-{kind}.png", full_page=True)
        names.append(name)
    sections = "".join(_section(name) for name in names)
    (SCREENS / "index.html").write_text(_SHEET.format(count=len(names), sections=sections))
    with capsys.disabled():
        print(f"{len(names)} pages in {SCREENS}/index.html")


def test_pictures(world, context_of):  # noqa: F811
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.png"):
        old.unlink()
    for look in looks():
        for kind in IN_THE_README.get(str(look), ()):
            with visit(context_of(look.who, scripts=True), world.address(look)) as seen:
                path = PICTURES / f"{look}-{kind}.png"
                _take(seen.page, kind, path, full_page=False)
                assert path.stat().st_size <= MOST_BYTES, path


def _console() -> list[tuple[str, str]]:
    """Return the name and the path of the console's dashboard and of each of its lists."""
    named = {
        model._meta.model_name: f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry
    }
    lists = [(f"console-{name}", reverse(f"admin:{long}_changelist")) for name, long in sorted(named.items())]
    return [("console", reverse("admin:index")), *lists]


def _take(page: Page, kind: str, path: Path, *, full_page: bool) -> None:
    scheme, width = KINDS[kind]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(SIZES[width])
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path, full_page=full_page, animations="disabled", caret="hide")


def _section(name: str) -> str:
    pictures = "".join(f'<a href="{name}-{kind}.png"><img src="{name}-{kind}.png" alt="{kind}"></a>' for kind in KINDS)
    return f"<h2>{escape(name)}</h2><section>{pictures}</section>"

"""The site's URLs, and a page with every fault that the guard of the pages must find."""

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

from fatfire.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500"]

FAULTS = {
    "low-contrast": '<p class="faint">Hardly to be read.</p>',
    "inline-style": '<p style="margin: 0">Not allowed.</p>',
    "inline-script": "<script>document.title = 'Not allowed'</script>",
    "foreign-image": '<img src="http://127.0.0.1:9/x.png" alt="From elsewhere">',
    "missing-file": '<img src="/planted/nothing.png" alt="Not there">',
    "script-error": '<script src="/planted/breaks.js"></script>',
    "wide": '<p class="wide">Wider than a phone.</p>',
    "unlabelled": '<form method="post"><input name="name"><button>Send</button></form>',
    "password": '<label>Word <input type="password" autocomplete="off"></label>',
    "two-headings": "<h1>Planted again</h1>",
    "small-targets": '<div class="small-targets"><a href="/a">a</a><a href="/b">b</a></div>',
    "no-focus": '<p><a class="unseen link" href="/a">Where am I?</a></p>',
    "script-only-text": '<p class="big" data-fill></p><script src="/planted/fills.js"></script>',
    "script-only-button": '<button class="button" type="button">Does nothing alone</button>',
    "script-only-link": '<a class="button" hx-get="/a" tabindex="0" role="button">Does nothing</a>',
    "unsendable-form": '<form><label>Name <input name="name"></label></form>',
    "heavy": '<script src="/planted/heavy.js"></script>',
}

_FILES = {
    "faults.css": ".faint { color: light-dark(#ddd, #333); } .wide { width: 700px; } .small-targets { line-height: 1; }"
    " .small-targets a { display: inline-block; width: 12px; height: 12px; font-size: 10px; }"
    " .unseen:focus-visible { outline: none; }",
    "breaks.js": "throw new Error('planted to break')",
    "fills.js": "document.querySelector('[data-fill]').textContent = '$12'",
}

_PAGE = """{% extends "web/outside.html" %}{% block title %}Planted{% endblock %}
{% block main %}<link rel="stylesheet" href="/planted/faults.css"><h1>Planted</h1>FAULTS{% endblock %}"""


def show(request: HttpRequest, which: str) -> HttpResponse:
    """Return the page with all faults, or with none."""
    page = _PAGE.replace("FAULTS", "".join(FAULTS.values()) if which == "all" else "<p>Nothing is wrong here.</p>")
    return HttpResponse(engines["django"].from_string(page).render({}, request))


def without_skip_link(request: HttpRequest) -> HttpResponse:
    """Return a page that isn't made from the site's templates: no way past the menu, no title, no heading."""
    return HttpResponse('<!doctype html><html lang="en"><title></title><main>Planted</main></html>')


def file(request: HttpRequest, name: str) -> HttpResponse:
    """Return one of the files that the faults need; the heavy one is 50 kB that don't compress."""
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return HttpResponse(_heavy() if name == "heavy.js" else _FILES[name], content_type=kind)


def _heavy() -> str:
    number, digits = 1, []
    while len(digits) < 120_000:
        number = number * 48271 % 2147483647
        digits.append(str(number % 10))
    return f"window.heavy = '{''.join(digits)}'"


def breaks(request: HttpRequest) -> HttpResponse:
    """Fail, so that the page for that is seen.

    Raises:
        RuntimeError: always.
    """
    msg = "planted"
    raise RuntimeError(msg)


urlpatterns = [
    path("", include("fatfire.urls")),
    path("planted/page/<str:which>", show, name="planted"),
    path("planted/bare", without_skip_link, name="planted-bare"),
    path("planted/breaks", breaks, name="planted-breaks"),
    *[path(f"planted/{name}", file, {"name": name}, name=f"planted-{name}") for name in [*_FILES, "heavy.js"]],
]

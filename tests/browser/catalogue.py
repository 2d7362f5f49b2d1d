"""What the browser looks at: every page there is, in the states that it can be in.

The URLs are found by themselves. One without arguments is a page, looked at as the owner of the demo's household sees
it; add it to PAGES where it has more states. One with arguments must be in PAGES, with how they are found; one that is
no page of its own is in NO_PAGES, with the reason. A service may keep its own in tests/services/<service>/pages.py, as
dictionaries PAGES and NO_PAGES of the same form.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Page

from services.accounts.models import ApiKey
from services.cleanup.jobs import DELETE_PORTFOLIO
from services.core.models import MANUAL, Asset, Portfolio
from services.insurance.models import Policy
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.jobs.jobs import JobKind
from services.jobs.models import Job, State
from services.receipts.models import Receipt
from services.tax.models import TaxYear

SITE = "fatfire.urls"


@dataclass(frozen=True)
class Look:
    """A page in one of its states.

    `who` sees it: owner or viewer of the demo's household, newcomer (has nothing), linker (is about to link a bank),
    troubled (has everything that makes pages look bad), or "" for who isn't signed in. `arguments` finds those of the
    URL, in the scope of that household. `act` is what the person does before the look; what it changes, it may change
    again. `status` is the last answer's. `path` stands for the URL of what has no name.
    """

    state: str = ""
    who: str = "owner"
    arguments: Callable[[], dict[str, object]] = dict
    query: str = ""
    act: Callable[[Page], None] | None = None
    status: int = 200
    path: str = ""
    url: str = ""

    def __str__(self) -> str:
        """Return what its pictures and its test are called."""
        return "-".join(part for part in (self.url.replace(":", "-"), self.state) if part)


def press(name: str) -> Callable[[Page], None]:
    """Return the act of pressing the button."""
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def opening(label: str) -> Callable[[Page], None]:
    """Return the act of opening the menu; its label is the beginning of what is read out."""
    return lambda page: page.locator(f"summary[aria-label^='{label}'], summary:has-text('{label}')").first.click()


def filling(button: str, **fields: str) -> Callable[[Page], None]:
    """Return the act of filling in fields, by their names, and pressing the button."""

    def act(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"main [name={name}]").fill(value)
        press(button)(page)

    return act


def _stay_before_the_bank(page: Page) -> None:
    """Choose a bank without following the page's refresh to it."""

    def without_refresh(route) -> None:
        answer = route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "refresh"}
        route.fulfill(response=answer, headers=headers)

    page.route("**/link-to-bank", without_refresh)
    page.locator("#banks button").first.click()


def _send_a_forged_form(page: Page) -> None:
    page.get_by_label("E-mail address").fill("alex@harper.example")
    page.locator("main [name=csrfmiddlewaretoken]").evaluate("field => { field.value = 'forged' }")
    press("Send me a link")(page)


def _asset(**wanted: object) -> Callable[[], dict[str, object]]:
    return lambda: {"asset_id": Asset.objects.filter(source=MANUAL, **wanted).earliest("created_at", "id").id}


def _linked_asset() -> dict[str, object]:
    return {"asset_id": LinkedAccount.objects.earliest("asset__created_at", "id").asset_id}


def _portfolio() -> dict[str, object]:
    return {"portfolio_id": Portfolio.objects.earliest("created_at", "id").id}


def _job(kind: JobKind, **wanted: object) -> Callable[[], dict[str, object]]:
    return lambda: {"job_id": Job.objects.filter(kind=kind.name, **wanted).earliest("created_at", "id").id}


def _link(state: LinkState) -> Callable[[], dict[str, object]]:
    return lambda: {"link_id": Link.objects.filter(state=state).earliest("institution", "id").id}


def _first(argument: str, model: type[Model]) -> Callable[[], dict[str, object]]:
    return lambda: {argument: model.objects.earliest("created_at", "id").pk}


def _record(argument: str, model: type[Model], name: str, save: str, **wrong: str) -> dict[str, tuple[Look, ...]]:
    """Return the looks at the pages of one record: to see, to edit and to delete it."""
    found = _first(argument, model)
    return {
        name: (Look(arguments=found), Look("viewer", who="viewer", arguments=found)),
        f"edit-{name}": (
            Look(arguments=found),
            Look("refused", arguments=found, act=filling(save, **wrong), status=422),
        ),
        f"delete-{name}": (Look(arguments=found),),
    }


_OPEN_ASSET = _asset(closed_on=None)

PAGES: dict[str, tuple[Look, ...]] = {
    "dashboard": (
        Look(),
        Look("empty", who="newcomer"),
        Look("troubled", who="troubled"),
        Look("portfolios", act=opening("Portfolio")),
        Look("account", who="troubled", act=opening("Account of")),
    ),
    "accounts": (
        Look(),
        Look("menu", act=opening("More for")),
        Look("viewer", who="viewer"),
        Look("no-portfolio", who="newcomer"),
        Look("troubled", who="troubled"),
    ),
    "account-currency": (Look(arguments=lambda: {"account_id": LinkedAccount.objects.earliest("external_id").id}),),
    "asset-currency": (Look(arguments=_OPEN_ASSET),),
    "rename-account": (
        Look(arguments=_linked_asset),
        Look("refused", arguments=_linked_asset, act=filling("Save", name=""), status=422),
    ),
    "finish-link": (Look(who="linker", arguments=_link(LinkState.PENDING)),),
    "remove-link": (Look(arguments=_link(LinkState.ACTIVE)),),
    "job": (
        Look(who="troubled", arguments=_job(DELETE_PORTFOLIO)),
        Look("failed", who="troubled", arguments=_job(SYNC_LINK, state=State.FAILED)),
        Look("done", arguments=_job(SYNC_LINK)),
        Look("viewer", who="viewer", arguments=_job(SYNC_LINK)),
    ),
    "net-worth": (
        Look(),
        Look("all", query="?range=all"),
        Look("table", query="?range=1m", act=lambda page: page.locator(".as-table summary").click()),
        Look("empty", who="newcomer"),
    ),
    "assets": (
        Look(),
        Look("viewer", who="viewer"),
        Look("no-portfolio", who="newcomer"),
        Look("empty", who="linker"),
        Look("closed", who="troubled"),
    ),
    "add-asset": (
        Look(),
        Look("refused", act=filling("Add", value="12,40o", currency="dollars"), status=422),
    ),
    "asset": (
        Look(arguments=_OPEN_ASSET),
        Look("viewer", who="viewer", arguments=_OPEN_ASSET),
        Look("closed", who="troubled", arguments=_asset(closed_on__isnull=False)),
        Look("refused", arguments=_OPEN_ASSET, act=filling("Save value", value="a lot"), status=422),
    ),
    "rename-asset": (Look(arguments=_OPEN_ASSET),),
    "close-asset": (Look(arguments=_OPEN_ASSET),),
    "portfolios": (
        Look(),
        Look("viewer", who="viewer"),
        Look("empty", who="newcomer"),
        Look("several", who="troubled"),
        Look("menu", act=opening("Change")),
    ),
    "add-portfolio": (Look(), Look("refused", act=filling("Create portfolio", currency="dollars"), status=422)),
    "rename-portfolio": (
        Look(arguments=_portfolio),
        Look("saved", arguments=_portfolio, act=press("Save name")),
        Look("not-allowed", who="viewer", arguments=_portfolio, status=403),
    ),
    "portfolio-currency": (Look(arguments=_portfolio),),
    "delete-portfolio": (
        Look(arguments=_portfolio),
        Look("refused", arguments=_portfolio, act=filling("Delete portfolio", typed="Fortune"), status=422),
        Look("not-allowed", who="viewer", arguments=_portfolio, status=403),
    ),
    "sign-in": (
        Look(who=""),
        Look("refused", who="", act=filling("Send me a link", email="alex"), status=422),
        Look("sent", who="", act=filling("Send me a link", email="alex@harper.example")),
        Look("forged", who="", act=_send_a_forged_form, status=403),
    ),
    "use-link": (
        Look(who="", arguments=lambda: {"secret": "whatever"}),
        Look("refused", who="", arguments=lambda: {"secret": "whatever"}, act=press("Sign in"), status=410),
    ),
    "switch-tenant": (Look(who="troubled"),),
    "link-to-bank": (
        Look(who="linker"),
        Look("found", who="linker", query="?q=wattle"),
        Look("none", who="linker", query="?q=nothing+like+it"),
        Look("asked", who="linker", act=_stay_before_the_bank),
    ),
    "insurance": (Look(), Look("empty", who="newcomer"), Look("none", who="linker")),
    "add-policy": (Look(), Look("refused", act=filling("Add policy", premium="much"), status=422)),
    **_record("policy_id", Policy, "policy", "Save policy", premium="much"),
    "receipts": (Look(), Look("none", who="linker")),
    "add-receipt": (Look(), Look("refused", act=filling("Add receipt", total="much"), status=422)),
    **_record("receipt_id", Receipt, "receipt", "Save receipt", total="much"),
    "tax": (Look(), Look("none", who="linker")),
    "add-tax-year": (Look(),),
    **_record("tax_year_id", TaxYear, "tax-year", "Save tax year", assessment="much"),
    "settings-profile": (Look(), Look("saved", who="troubled", act=press("Save"))),
    "settings-household": (Look(), Look("viewer", who="viewer")),
    "settings-keys": (Look(), Look("empty", who="newcomer")),
    "add-key": (Look(), Look("made", who="troubled", act=filling("Create key", name="Spreadsheet"), status=201)),
    "revoke-key": (Look(arguments=_first("api_key_id", ApiKey)),),
    # What is at no URL of its own.
    "error": (
        Look("bad-request", who="", path="/sign-in?" + "a&" * 1001, status=400),
        Look("not-found", who="", path="/nothing/here", status=404),
        Look("server-error", who="", path="/planted/breaks", status=500),
    ),
}

NO_PAGES: dict[str, str] = {
    "retry-job": "takes a form and shows the job",
    "cancel-job": "takes a form and shows the job",
    "resume-deletion": "takes a form and shows the job that deletes",
    "restore-portfolio": "takes a form and shows the portfolios",
    "live": "gives a ticket to a page's script",
    "job-toast": "a part of the bank accounts, seen in their state troubled",
    "refresh-link": "takes a form and shows the bank accounts, or their toasts",
    "count-twins": "takes a form and shows the bank accounts",
    "renew-link": "takes a form and leads to the bank, as link-to-bank does",
    "reopen-asset": "takes a form and shows the asset",
    "settings": "leads to the first of the settings",
    "sign-out-browser": "takes a form and shows the browsers",
    "switch-currency": "takes a form and shows the page again",
    "admin": "leads to the console",
    "admin:": "the console, which lists its pages itself: tests/console and test_console.py",
    "switch-portfolio": "takes a form and shows the page again",
    "sign-out": "takes a form and shows the page of signing in",
    "livez": "says one word to machines",
    "readyz": "says one word to machines",
    "api:": "the API; its documentation is Swagger's page, opened in test_pages.py",
}
"""Reasons by URL name; a name that ends with a colon stands for all of a namespace."""

_OF_NO_URL = {"error"}

for _app in apps.get_app_configs():
    if _app.name.startswith("services.") and find_spec(f"tests.{_app.name}") and find_spec(f"tests.{_app.name}.pages"):
        PAGES |= (_theirs := import_module(f"tests.{_app.name}.pages")).PAGES
        NO_PAGES |= _theirs.NO_PAGES


def urls(urlconf: str = SITE) -> dict[str, bool]:
    """Return all URLs by their names (else their routes), and whether each takes arguments."""
    return dict(_walk(get_resolver(urlconf), "", has_arguments=False))


def _walk(resolver: URLResolver, namespace: str, *, has_arguments: bool) -> Iterator[tuple[str, bool]]:
    for each in resolver.url_patterns:
        takes = has_arguments or bool(each.pattern.regex.groups)
        if isinstance(each, URLPattern):
            yield namespace + (each.name or str(each.pattern)), takes
        else:
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _walk(each, inner, has_arguments=takes)


def _is_no_page(name: str) -> bool:
    return name in NO_PAGES or any(name.startswith(each) for each in NO_PAGES if each.endswith(":"))


def looks(urlconf: str = SITE) -> list[Look]:
    """Return every look at every page."""
    found = {
        name: PAGES.get(name, (Look(),)) for name, has_arguments in urls(urlconf).items()
        if name in PAGES or not (has_arguments or _is_no_page(name))
    }  # fmt: skip
    found |= {name: PAGES[name] for name in _OF_NO_URL}
    return [replace(look, url=name) for name, them in found.items() for look in them]


def missing(urlconf: str = SITE) -> list[str]:
    """Return what to add for the URLs that nobody looks at."""
    return [
        f"no look at {name}: add how its arguments are found to PAGES in tests/browser/catalogue.py, "
        "or why it is no page of its own to NO_PAGES"
        for name, has_arguments in urls(urlconf).items()
        if has_arguments and name not in PAGES and not _is_no_page(name)
    ]


def left_over(urlconf: str = SITE) -> set[str]:
    """Return what the catalogue says of URLs that are gone."""
    names = set(urls(urlconf))
    spaces = {f"{part}:" for name in names if ":" in name for part in [name.rpartition(":")[0]]}
    return (PAGES.keys() | NO_PAGES.keys()) - names - spaces - _OF_NO_URL

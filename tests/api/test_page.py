"""docs/api.md says what is so: its codes are those of the errors, its examples work."""

import re
import shlex
import string
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

import workers.tasks  # noqa: F401  # so that every error's class is there
from fatfire.kit.errors import DomainError
from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.institutions import WATTLE
from tests.api.document import call
from tests.contracts.bank import running_bank

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"^curl .*$", PAGE, re.MULTILINE)


# What only people do, on pages and in the console.
OF_PEOPLE = (
    "services.accounts.sign_in",
    "services.accounts.operators",
    "services.jobs.admin",
    "services.jobs.dead_letters",
    "fatfire.web",
    "fatfire.console",
)


def _kinds(error: type[DomainError]) -> set[type[DomainError]]:
    """Return the product's errors below `error`; those that tests plant are none."""
    below = {each for kind in error.__subclasses__() for each in _kinds(kind)} | set(error.__subclasses__())
    ours = {each for each in below if each.__module__.split(".")[0] in {"fatfire", "tenants", "services", "workers"}}
    return {each for each in ours if not each.__module__.startswith(OF_PEOPLE)}


def test_each_code_is_explained():
    explained = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE)

    assert sorted(explained) == sorted({(str(kind.status), kind.code) for kind in _kinds(DomainError)})


@pytest.fixture
def ids(home, run_jobs, settings, tmp_path):
    """Return the examples' variables, in a home as the demo makes one."""
    with running_bank(tmp_path / "bank.sqlite3") as bank:
        settings.PLAID_URL, settings.PLAID_CLIENT_ID, settings.PLAID_SECRET = bank.url, CLIENT_ID, SecretStr(SECRET)
        portfolio = home.send("POST", "/portfolios", {"name": "Family wealth"})["id"]
        asset = home.send("POST", "/assets", {"portfolio_id": portfolio, "name": "Car", "kind": "vehicle"})["id"]
        home.send("PUT", f"/assets/{asset}/values", {"on": "2026-02-01", "value": "1.00"})
        link = home.send("POST", "/links", {"portfolio_id": portfolio})["id"]
        body = {"institution_id": WATTLE.institution_id, "initial_products": ["transactions"]}
        token = bank.sandbox("/sandbox/public_token/create", **body)["public_token"]
        job = home.send("POST", f"/links/{link}/complete", {"public_token": token})["job_id"]
        run_jobs()
        bought = {"merchant": "Tool Shed", "purchased_on": "2026-02-01", "total": "89.00"}
        receipt = home.send("POST", "/receipts", {"portfolio_id": portfolio, **bought})["id"]
        made = {"PORTFOLIO": portfolio, "ASSET": asset, "LINK": link, "JOB": job, "RECEIPT": receipt}
        key_id = home.send("POST", "/api-keys", {"name": "Old", "role": "viewer"})["id"]
        bought = {"portfolio_id": portfolio, "merchant": "Tool Shed", "purchased_on": "2026-03-01", "total": "89.00"}
        made["RECEIPT"] = home.send("POST", "/receipts", bought)["id"]
        made["VIDEO"] = home.send("POST", "/videos", {"portfolio_id": portfolio, "title": "Living room"})["id"]
        yield {"API": "/api/v1", "KEY": home.key, "KEY_ID": key_id, **made}


def test_examples_work(ids):
    assert len(EXAMPLES) > 15
    for example in EXAMPLES:
        method, url, header, body = _read(example, ids)
        address = urlsplit(url)
        name, _, value = header.partition(": ")

        response = call(
            method, address.path, query=dict(parse_qsl(address.query)), body=body, headers={name: value},
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip

        assert response.status_code < 300, (example, response.content)


def _read(example: str, ids: dict[str, str]) -> tuple[str, str, str, str | None]:
    """Return method, URL, header and body as the shell and curl would read them."""
    words = shlex.split(string.Template(example).substitute(ids), comments=True)
    options = {flag: words.pop(words.index(flag) + 1) for flag in ("-H", "-X", "-d") if flag in words}
    (url,) = [word for word in words[1:] if not word.startswith("-")]
    return options.get("-X", "GET"), url, options["-H"], options.get("-d")

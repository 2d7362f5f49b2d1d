"""The settings: each variable is documented, and what is missing is refused, never guessed."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from fatfire.settings import Environment

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "settings.md"


def documented(text: str) -> dict[str, str]:
    """Return the variables that the tables of the document name, with their defaults as written."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|[^|]*\|([^|]*)\|", text, re.MULTILINE)
    return {name: default.strip() for name, default in rows}


def read_elsewhere() -> set[str]:
    """Return the variables that code outside of the settings reads by name."""
    found = set()
    for package in ("fatfire", "tenants", "services", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            found |= read_in(path.read_text())
    return found


def read_in(source: str) -> set[str]:
    """Return the names in `os.environ.get("NAME")`, `os.environ["NAME"]` (where read) and `os.getenv("NAME")`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}:
            name = node.args[0]
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value) == "os.environ"
        ):
            name = node.slice
        else:
            continue
        found.add(name.value if isinstance(name, ast.Constant) else "?")
    return found


def known() -> set[str]:
    return {name.upper() for name in Environment.model_fields} | read_elsewhere()


def differences(text: str, names: set[str]) -> list[str]:
    """Return what the document lacks or invents, one sentence each."""
    missing = [f"{name} is not in docs/settings.md" for name in sorted(names - documented(text).keys())]
    return missing + [f"{name} is documented but nothing reads it" for name in sorted(documented(text).keys() - names)]


def test_every_variable_is_documented():
    assert differences(DOCUMENT.read_text(), known()) == []


def test_missing_and_invented_variables_are_found():
    text = "| `DEBUG` | pages | `false` | unset |\n| `LOG_COLOUR` | colour | `red` | `blue` |"

    assert differences(text, {"DEBUG", "LOG_LEVEL"}) == [
        "LOG_LEVEL is not in docs/settings.md",
        "LOG_COLOUR is documented but nothing reads it",
    ]
    source = 'import os\nos.environ.get("A")\nos.environ["B"]\nos.getenv("C", "")\nos.environ["D"] = "x"\n'
    assert read_in(source) == {"A", "B", "C"}


def test_documented_defaults_are_the_defaults():
    written = documented(DOCUMENT.read_text())
    for name, field in Environment.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        if isinstance(default, Path):
            default = str(default.relative_to(ROOT))
        text = default if isinstance(default, str) else json.dumps(default)
        expected = (f"`{text}`",) if text else ("none", "empty")
        assert written[name.upper()].startswith(expected), name


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout with nothing in its environment but what is given."""
    clean = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60
    )


def test_settings_import_without_an_environment_and_are_closed():
    names = ["DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "SECURE_CONTENT_TYPE_NOSNIFF", "X_FRAME_OPTIONS"]
    code = f"import json; from fatfire import settings as s; print(json.dumps([getattr(s, n) for n in {names}]))"

    done = run("-c", code)

    assert done.stderr == ""
    assert json.loads(done.stdout) == [False, "", ["localhost", "127.0.0.1", "[::1]"], True, "DENY"]


def test_connecting_without_a_url_names_the_variable():
    code = "import django; django.setup(); from tenants.isolation import shared\nwith shared(): pass"

    done = run("-c", code, DJANGO_SETTINGS_MODULE="fatfire.settings", SECRET_KEY=os.environ["SECRET_KEY"])

    assert done.returncode == 1
    assert "DATABASE_URL-is-not-set" in done.stderr


def test_deployment_without_secrets_is_refused(tmp_path):
    done = run("manage.py", "check", "--deploy", MASTER_KEY_FILE=str(tmp_path / "none"))

    assert done.returncode == 1
    assert "(tenants.E006) SECRET_KEY is empty." in done.stderr
    assert "(tenants.E007) There is no master key" in done.stderr
    assert "(accounts.E001) SITE_URL is empty" in done.stderr


def test_development_server_without_a_master_key_is_refused(tmp_path):
    urls = {name: os.environ[name] for name in ("DATABASE_URL", "DATABASE_OPERATOR_URL", "DATABASE_OWNER_URL")}
    missing = {"SECRET_KEY": "x", "MASTER_KEY_FILE": str(tmp_path / "none")}

    done = run("manage.py", "runserver", "--noreload", "127.0.0.1:0", **urls, **missing)

    assert done.returncode == 1
    assert "(tenants.E007) There is no master key" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBUG", "perhaps"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("JOBS_RESEND_AFTER_SECONDS", "0"),
        ("TRUSTED_PROXIES", "-1"),
        *(
            (name, each)
            for name in ("SITE_URL", "CONSOLE_URL")
            for each in ("x.example", "ftp://x", "https://x/", "https://x/y", "https://a@x", "https://x\n")
        ),
    ],
)
def test_value_of_the_wrong_form_is_refused(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)

    with pytest.raises((ValidationError, ValueError)):
        Environment()


def test_secrets_are_not_shown(monkeypatch):
    secrets = ["SECRET_KEY", "DATABASE_URL", "DATABASE_OPERATOR_URL", "DATABASE_OWNER_URL", "PLAID_SECRET"]
    for name in secrets:
        monkeypatch.setenv(name, f"shown-{name}")

    assert "shown-" not in repr(Environment())


@pytest.mark.parametrize(
    ("given", "console"),
    [
        ({}, ""),
        ({"SITE_URL": "https://app.example.com"}, "https://app.example.com"),
        ({"SITE_URL": "https://app.example.com", "CONSOLE_URL": "https://c.example.com"}, "https://c.example.com"),
    ],
)
def test_console_is_at_the_site_unless_it_has_a_host_of_its_own(given, console):
    done = run("-c", "from fatfire import settings; print(settings.CONSOLE_URL)", **given)

    assert (done.stdout.strip(), done.stderr) == (console, "")

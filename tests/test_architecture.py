"""The rules of the architecture that neither ruff nor import-linter can say, each shown to find what it is for."""

import ast
import io
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import grimp
import pytest
from django import urls
from django.apps import apps
from django.core.management import call_command
from django.urls import URLPattern, get_resolver, include

from services.jobs.jobs import JobKind

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fatfire", "tenants", "services", "workers")
MODULES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)

LINES_ASKED, LINES_ALLOWED = 300, 500
LONG = {
    "fatfire/kit/postgres.py": "one launcher; its states and their races are only understood together",
    "services/integration/providers/plaid.py": "one client, as long as the API that it speaks",
}
"""Modules past 300 lines, each with the answer to why."""

ACROSS_TENANTS = {
    "fatfire/console/dead_letters.py": "reads and notes for operators, around calls of SQS that no transaction holds",
    "fatfire/console/site.py": "shows every tenant to operators, who were let in before",
    "fatfire/demo.py": "makes and removes the sample tenants",
    "fatfire/management/commands/create_operator.py": "people belong to no tenant, and app_tenant may not write them",
    "fatfire/management/commands/create_api_key.py": "finds the tenant by its slug, for the operator at the keyboard",
    "fatfire/management/commands/emulate.py": "waits until the banks of the sample tenants are read",
    "fatfire/management/commands/demo.py": "asks whether the sample tenants are there",
    "services/accounts/operations.py": "a tenant's first row can't be written as that tenant",
    "services/accounts/sign_in.py": "the platform's job finds who asked for a link, and makes it",
    "services/cleanup/operations.py": "deletes what is old, whosever it is",
    "services/exchange/operations.py": "rates are everybody's, and only the platform's job writes them",
    "services/history/operations.py": "finds the portfolios of all tenants whose day has turned",
    "services/integration/operations/linking.py": "forgets the links of all tenants that were never finished",
    "services/jobs/operations/claims.py": "reports how far the platform's jobs are",
    "services/jobs/operations/running.py": "claims jobs of the platform",
    "services/jobs/operations/sweeping.py": "sweeps the jobs of all tenants",
    "services/jobs/queries.py": "tells the workers of the platform what is due, in every tenant",
    "services/media/operations/deletion.py": "finds the videos of all tenants that were left or are old",
    "workers/rates.py": "queues the platform's rollup when rates came",
    "workers/runner.py": "records the end of the platform's jobs",
    "workers/schedule.py": "queues the platform's jobs",
}
"""Modules that may open `operator()`, each with the reason; a new one is reviewed by being added here."""

IMPORTABLE = {"operations", "queries", "jobs"}
SITE_BELOW_SERVICES = ("fatfire.kit", "fatfire.celery")

GRAPH = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)


def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imports() -> Iterator[tuple[str, str]]:
    for importer in sorted(GRAPH.modules):
        for imported in sorted(GRAPH.find_modules_directly_imported_by(importer)):
            yield importer, imported


def is_shut(importer: str, imported: str) -> bool:
    """Return whether the import goes behind another service's public modules, or up into the site."""
    mine, theirs = importer.split("."), imported.split(".")
    if mine[0] in {"services", "tenants"} and theirs[0] == "fatfire":
        return not imported.startswith(SITE_BELOW_SERVICES)
    is_of_another = mine[0] == theirs[0] == "services" and mine[1:2] != theirs[1:2]
    return is_of_another and len(theirs) > 2 and theirs[2] not in IMPORTABLE


def test_services_talk_through_public_modules():
    assert [each for each in imports() if is_shut(*each)] == []


@pytest.mark.parametrize(
    ("importer", "imported", "shut"),
    [
        ("services.history.operations", "services.core.operations", False),
        ("services.history.operations", "services.core.operations.assets", False),
        ("services.history.operations", "services.core.models", True),
        ("services.history.operations", "services.core.api", True),
        ("services.core.operations", "services.core.models", False),
        ("services.core.operations", "fatfire.kit.money", False),
        ("services.core.operations", "fatfire.demo", True),
        ("tenants.audit", "fatfire.settings", True),
        ("fatfire.api", "services.core.api", False),
    ],
)
def test_boundary_is_where_it_should_be(importer, imported, shut):
    assert is_shut(importer, imported) == shut


PLANTED = {
    "Dependencies point downwards": ("fatfire/kit/clock.py", "import tenants.models"),
    "Services: who may call whom": ("services/telemetry/operations.py", "import services.core.queries"),
    "Inside a service": ("services/core/models.py", "import services.core.operations"),
    "Domain code knows nothing of HTTP": ("services/core/queries.py", "import ninja"),
    "What is deployed knows nothing of the deployment": ("services/core/jobs.py", "import infra.emulator"),
}


def test_each_contract_of_the_imports_is_broken_by_what_it_forbids(tmp_path):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == PLANTED.keys()
    for package in (*PACKAGES, "infra"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, line in PLANTED.values():
        with (tmp_path / path).open("a") as module:
            module.write(f"\n{line}\n")

    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert set(re.findall(r"^(.+) BROKEN\b", done.stdout, re.MULTILINE)) == PLANTED.keys()


def test_modules_stay_readable_in_one_sitting():
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in MODULES}

    assert {path: count for path, count in lines.items() if count > LINES_ALLOWED} == {}
    assert {path for path, count in lines.items() if count > LINES_ASKED} <= LONG.keys()
    assert LONG.keys() <= lines.keys()


def undocumented(module: ast.Module) -> list[str]:
    """Return the public classes and functions without docstring, and "module" where it has none itself."""
    found = [] if ast.get_docstring(module) or not module.body else ["module"]
    bodies: list[tuple[str, list[ast.stmt]]] = [("", module.body)]
    for prefix, body in bodies:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_") or node.name == "Meta":
                continue
            if not ast.get_docstring(node):
                found.append(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                bodies.append((f"{node.name}.", node.body))
    return found


def test_everything_public_says_what_it_is():
    found = {str(path): undocumented(parsed(path)) for path in MODULES}

    assert {path: names for path, names in found.items() if names} == {}


def test_missing_docstring_is_found():
    source = '''
class Pet:
    """A pet."""

    class Meta:
        pass

    def feed(self): ...

    def _digest(self): ...

def adopt(): ...
'''
    assert undocumented(ast.parse(source)) == ["module", "adopt", "Pet.feed"]


def calls(module: ast.Module) -> set[str]:
    """Return what the module calls or names, as "now" and "datetime.now"."""
    names = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            names.add(f"{name}.{node.attr}")
    return names


OPENS_OPERATOR = {"operator", "isolation.operator", "tenant_or_operator", "isolation.tenant_or_operator"}


def test_operator_scope_is_opened_where_it_was_reviewed():
    found = {str(path) for path in MODULES if path.parts[0] != "tenants" and calls(parsed(path)) & OPENS_OPERATOR}

    assert found - ACROSS_TENANTS.keys() == set()
    assert {path for path in ACROSS_TENANTS if (ROOT / path).exists()} - found == set()


READS_CLOCK = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "timezone.now", "time.time", "time.time_ns",
}  # fmt: skip


def test_only_the_clock_reads_the_time():
    found = {str(path): calls(parsed(path)) & READS_CLOCK for path in MODULES}

    assert {path: names for path, names in found.items() if names} == {"fatfire/kit/clock.py": {"datetime.now"}}


@pytest.mark.parametrize(
    "line", ["dt.datetime.now(dt.UTC)", "datetime.utcnow()", "time.time()", "datetime.date.today()"]
)
def test_reading_the_time_is_found(line):
    assert calls(ast.parse(line)) & READS_CLOCK


def test_every_kind_of_job_has_a_task_for_each_step():
    from fatfire.celery import app
    from workers import tasks  # noqa: F401  # registers the operations
    from workers.runner import OPERATIONS

    modules = [import_module(f"{each.name}.jobs") for each in apps.get_app_configs() if _has_jobs(each.path)]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, JobKind)}

    assert {(kind.name, step.name) for kind in kinds for step in kind.steps} == {
        key for key in OPERATIONS if key[0].partition(".")[0] in apps.app_configs
    }
    assert {kind.name for kind in kinds} - app.tasks.keys() == set()


def _has_jobs(path: str) -> bool:
    return Path(path).parent == ROOT / "services" and (Path(path) / "jobs.py").exists()


def test_migrations_say_what_the_models_say(database):
    out = io.StringIO()

    call_command("makemigrations", check=True, dry_run=True, stdout=out)

    assert out.getvalue() == "No changes detected\n"


def test_no_column_holds_a_password(admin):
    fields = {f"{model._meta.label}.{field.name}" for model in apps.get_models() for field in model._meta.get_fields()}
    columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"

    assert {name for name in fields if "password" in name.lower()} == set()
    assert [row for row in admin.execute(columns) if "password" in row[1]] == []


def routes(patterns: list, prefix: str = "") -> Iterator[str]:
    """Yield the route and the name of every URL."""
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield f"{route} {each.name}"
        else:
            yield from routes(each.url_patterns, route)


def test_no_url_is_of_passwords():
    found = list(routes(get_resolver().url_patterns))

    assert any("sign-in" in route for route in found)
    assert any(route.startswith("admin/") for route in found)
    assert [route for route in found if re.search("password|reset|login", route)] == []


def test_url_of_passwords_is_found():
    nested = [urls.path("admin/", include([urls.path("reset/", lambda request: None, name="password_reset")]))]

    assert list(routes(nested)) == ["admin/reset/ password_reset"]


OF_ONE_MACHINE = re.compile(
    r"/(?:home|Users|root|wor[k])/[\w.]|[A-Z]:\\Users|index-ur[l]\s*=?\s*\S*://|pythonhosted\.or[g]|(?:artifactory|nexus)\.\w+\.\w+",
)


def test_tracked_files_name_no_machine_and_no_registry():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S607
    found = {}
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and (text := _text_of(path)) and (match := OF_ONE_MACHINE.search(text)):
            found[name] = match[0]

    assert found == {}


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""  # a picture or the like


@pytest.mark.parametrize(
    "text",
    [
        "cd /ho" + "me/ada/code",
        "/Us" + "ers/ada",
        "/wo" + "rk/x",
        "--index" + "-url https://x",
        "files.python" + "hosted.org",
    ],
)
def test_machine_or_registry_is_found(text):
    assert OF_ONE_MACHINE.search(text)

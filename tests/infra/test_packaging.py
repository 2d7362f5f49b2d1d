"""A package has what its function needs, compiled, and nothing else."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fatfire.api import api
from infra import packaging
from infra.emulator import install
from infra.system import System

LARGEST_MB = 20
"""Of a package, zipped, where no video is worked on; Lambda takes 250 MB unpacked."""
UNCHECKED = (0b01).to_bytes(4, "little")
SYSTEM = System.load("production")


@pytest.fixture(scope="module")
def web():
    return packaging.package("web", SYSTEM)


@pytest.fixture(scope="module")
def unpacked(web, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    with zipfile.ZipFile(web.zip()) as archive:
        archive.extractall(folder)
    return folder


def _run(unpacked: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program where the package is unpacked, as a function that has no secrets worth the name."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
        "DATABASE_OPERATOR_URL": "postgresql://nobody@/nowhere",
        "SECRET_KEY": "only for tests",
        "KMS_KEY_ID": "alias/only-for-tests",
        "STATIC_ROOT": "static",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stage", ["web", "console", "jobs"])
def test_a_package_is_small(stage):
    assert packaging.package(stage, SYSTEM).zip().stat().st_size <= LARGEST_MB * 1_000_000


def test_the_same_code_is_the_same_package(web):
    assert len({packaging.package(stage, SYSTEM).digest for stage in ("web", "console", "jobs", "media")}) == 4
    assert packaging.package("jobs", SYSTEM).digest == packaging.package("migrate", SYSTEM).digest
    assert packaging.package("web", SYSTEM) == web


def test_every_module_is_compiled_and_never_again(unpacked):
    compiled = list(unpacked.rglob("*.pyc"))
    sources = list(unpacked.rglob("*.py"))

    assert len(compiled) > 1500
    assert [path for path in compiled if path.read_bytes()[4:8] != UNCHECKED] == []
    without = [path for path in sources if not Path(importlib.util.cache_from_source(str(path))).exists()]
    assert [path for path in without if "migrations" not in path.parts] == without == []


def test_nothing_of_the_laptop_is_packed(unpacked):
    top = {path.name for path in unpacked.iterdir()}

    assert top & {"infra", "tests", "benchmarks", "boto3", "botocore", "pip", "pytest", "manage.py", ".data"} == set()
    assert {"fatfire", "services", "tenants", "workers", "static", "zappa_settings.py"} <= top
    assert not (unpacked / "fatfire" / "local.py").exists()
    assert not (unpacked / "services" / "integration" / "sandbox").exists()


@pytest.mark.parametrize(
    ("stage", "served", "left_out"),
    [
        ("web", {"fatfire", "django_htmx", "ninja", "unfold"}, {"admin", "console"}),
        ("console", {"fatfire", "django_htmx", "unfold", "admin", "console"}, {"ninja"}),
        ("jobs", set(), {"fatfire", "django_htmx", "ninja", "unfold", "admin", "console"}),
    ],
)
def test_a_stage_has_the_static_files_that_it_serves_and_the_names_of_all(stage, served, left_out):
    with zipfile.ZipFile(packaging.package(stage, SYSTEM).zip()) as archive:
        names = [name.split("/")[1:] for name in archive.namelist() if name.startswith("static/")]
        known = json.loads(archive.read("static/staticfiles.json"))["paths"]

    assert {first for first, *rest in names if rest} == served
    assert {name.split("/")[0] for name in known} == served | left_out
    assert {first for first, *rest in names if not rest} == {"staticfiles.json"}


def test_libraries_go_without_documentation_and_the_api_document_is_whole(unpacked):
    code = """
import json, sys
sys.path.insert(0, ".")
import django, httpx
django.setup()
from fatfire.api import api
print(json.dumps([httpx.get.__doc__, api.get_openapi_schema()]))
"""
    done = _run(unpacked, [str(install()), "-I", "-c", code])

    assert done.stderr == ""
    assert json.loads(done.stdout) == ["", json.loads(json.dumps(api.get_openapi_schema()))]


def test_the_package_alone_opens_what_was_sealed_before(unpacked):
    code = """
import sys
sys.path.insert(0, ".")
from tenants.seal import SealBroken, open_sealed, seal
key, before = bytes(range(32)), bytes.fromhex(sys.argv[1])
now = seal(key, b"now", bound_to=b"here")
print(open_sealed(key, before, bound_to=b"here"), open_sealed(key, now, bound_to=b"here"))
try:
    open_sealed(key, now, bound_to=b"there")
except SealBroken:
    print("and nothing else")
"""
    before = "6465666768696a6b6c6d6e6f2a7eb8090b8cde4c55080054a64f0b31a5297996a433"  # by cryptography
    done = _run(unpacked, [sys.executable, "-I", "-S", "-c", code, before])

    assert (done.stderr, done.stdout) == ("", "b'before' b'now'\nand nothing else\n")


@pytest.mark.parametrize("module", ["fatfire.entry", "workers.lambda_handler", "fatfire.urls", "fatfire.console.urls"])
def test_the_handlers_can_be_imported_from_the_package_alone(unpacked, module):
    code = f"""
import json, os, sys
sys.path.insert(0, os.getcwd())
import django
if {module.endswith("urls")}:
    django.setup()
import {module}
ours = {{name: each.__file__ for name, each in sys.modules.items() if name.split(".")[0] in ("django", "fatfire")}}
print(json.dumps(sorted(file for file in ours.values() if file and not file.startswith(os.getcwd()))))
"""
    done = _run(unpacked, [str(install()), "-I", "-c", code])

    assert done.stderr == ""
    assert json.loads(done.stdout) == []


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(packaging, "RUNTIME", "3.11")

    with pytest.raises(packaging.WrongPython, match=r"the functions run Python 3\.11"):
        packaging.package("web", SYSTEM)

"""A package has what its function needs, compiled, and nothing else."""

import importlib.util
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from infra import packaging
from infra.emulator import install
from infra.system import System

LARGEST_MB = 27
"""Of a package, zipped; Lambda takes 250 MB unpacked."""
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


def test_a_package_is_small(web):
    assert web.zip().stat().st_size < LARGEST_MB * 1_000_000


def test_the_same_code_is_the_same_package(web):
    assert packaging.package("console", SYSTEM).digest != packaging.package("jobs", SYSTEM).digest
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
    environment = {
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
        "DATABASE_OPERATOR_URL": "postgresql://nobody@/nowhere",
        "SECRET_KEY": "only for tests",
        "KMS_KEY_ID": "alias/only-for-tests",
        "STATIC_ROOT": "static",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [str(install()), "-I", "-c", code], cwd=unpacked, env=environment, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert json.loads(done.stdout) == []


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(packaging, "RUNTIME", "3.11")

    with pytest.raises(packaging.WrongPython, match=r"the functions run Python 3\.11"):
        packaging.package("web", SYSTEM)

"""The documentation says what is so: links lead somewhere, and nothing that exists goes unnamed."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands

from infra.local import SECRETS
from services.jobs.jobs import JobKind
from services.media.engine.refusal import Reason
from workers.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
PAGES = sorted([*BASE_DIR.glob("*.md"), *BASE_DIR.glob("docs/**/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_MAKE = re.compile(r"make ([a-z][a-z-]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(BASE_DIR)))
def test_links_lead_somewhere(page):
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_pictures_are_there_and_small():
    pictures = set(re.findall(r"docs/pictures/[a-z0-9.-]+", (BASE_DIR / "README.md").read_text()))
    kept = {str(path.relative_to(BASE_DIR)) for path in BASE_DIR.glob("docs/pictures/*")}

    assert pictures == kept
    assert [each for each in kept if (BASE_DIR / each).stat().st_size > 150_000] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(BASE_DIR)))
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))

    named = {target for code in re.findall(r"`+([^`]+)`+", page.read_text()) for target in _MAKE.findall(code)}
    assert named - targets == set()


def test_each_dependency_is_explained():
    pyproject = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
    project = pyproject["project"]
    groups = [*project["optional-dependencies"].values(), *pyproject["dependency-groups"].values()]
    wanted = [*project["dependencies"], *(each for group in groups for each in group)]
    names = {re.match(r"[a-z0-9-]+", each)[0] for each in wanted}

    explained = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", (BASE_DIR / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    )
    assert explained - {"package"} == names


def test_each_job_is_explained():
    for path in BASE_DIR.glob("services/*/jobs.py"):
        importlib.import_module(f"services.{path.parent.name}.jobs")
    page = (BASE_DIR / "docs" / "jobs.md").read_text()

    explained = re.findall(r"^\| `([a-z_.]+)` \| `([a-z_]+)` \| (tenant|platform) \|", page, re.MULTILINE)
    declared = [
        (kind.name, kind.queue.value, kind.reach.value) for kind in JobKind.all() if not kind.name.startswith("test")
    ]
    assert sorted(explained) == sorted(declared)


def test_schedule_is_explained():
    page = (BASE_DIR / "docs" / "jobs.md").read_text().split("## Schedule")[1]

    explained = dict(re.findall(r"^\| `([a-z_.]+)` \| (\d+ \w+?)s? \|", page, re.MULTILINE))
    assert explained == {entry.name: _in_words(entry.every.total_seconds()) for entry in SCHEDULE}


def _in_words(seconds: float) -> str:
    unit, length = next(each for each in [("hour", 3600), ("minute", 60), ("second", 1)] if seconds >= each[1])
    return f"{seconds / length:.0f} {unit}"


def test_each_command_is_explained():
    page = (BASE_DIR / "docs" / "commands.md").read_text()
    ours = {
        name for name, app in get_commands().items() if app == "fatfire" or app.split(".")[0] in {"tenants", "services"}
    }

    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == ours


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(BASE_DIR)))
def test_commands_exist(page):
    named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))

    assert named - set(get_commands()) == set()


def test_each_functions_secrets_are_explained():
    page = (BASE_DIR / "docs" / "deploy.md").read_text().split("## 4.")[1].split("## 5.")[0]
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line[:1] == "|"
    ]

    explained = {
        stage: {re.search("[A-Z_]+", row[0])[0] for row in rows if row[column] == "x"}
        for column, stage in enumerate(header)
        if column
    }
    assert explained == {stage: set(names) for stage, names in SECRETS.items()}


def test_each_refusal_of_a_video_is_explained():
    page = (BASE_DIR / "docs" / "media.md").read_text().split("## Refusals")[1]
    marks = dict(re.findall(r"^\| `([a-z_]+)`( \*)? \|", page, re.MULTILINE))

    assert {code: bool(mark) for code, mark in marks.items()} == {reason.value: reason.may_pass for reason in Reason}

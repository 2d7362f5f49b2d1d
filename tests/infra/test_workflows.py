"""GitHub's workflows run what is run on a laptop, and may do no more than they need."""

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

BASE_DIR = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(BASE_DIR.glob(".github/workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return yaml.safe_load(request.param.read_text())


def commands(workflow):
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_there_are_the_two():
    assert [path.stem for path in WORKFLOWS] == ["check", "deploy"]


def test_each_command_is_one_of_ours(workflow):
    for command in commands(workflow):
        made, managed = re.match(r"make ([a-z-]+)$", command), re.match(r".venv/bin/python manage.py (\w+)", command)
        assert made or managed, command
        assert made is None or made[1] in TARGETS
        assert managed is None or managed[1] in get_commands()


def test_what_ci_runs_is_run():
    checked = yaml.safe_load((BASE_DIR / ".github/workflows/check.yml").read_text())

    assert "make check" in commands(checked)
    assert "exec make check" in (BASE_DIR / ".ci/run").read_text()
    assert checked["jobs"]["check"]["env"]["CI"] == "true"


def test_token_may_read_and_at_most_show_who_runs(workflow):
    assert workflow["permissions"] in ({"contents": "read"}, {"contents": "read", "id-token": "write"})


def test_no_secret_is_named(workflow):
    assert "secrets." not in str(workflow)


def test_no_input_is_written_into_a_command(workflow):
    assert [command for command in commands(workflow) if "${{" in command] == []

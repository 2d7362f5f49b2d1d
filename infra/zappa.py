"""Zappa, which makes each stage's function and its API: called as a program, on settings of one environment."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.system import BASE_DIR, PROJECT, Stage

SETTINGS = BASE_DIR / "zappa_settings.json"


class ZappaFailed(Exception):
    """Zappa ended with an error; the text is what it said."""


def stage_settings(stage: Stage) -> dict[str, Any]:
    """Return what zappa_settings.json says of a stage, with what it extends."""
    written = json.loads(SETTINGS.read_text())
    settings: dict[str, Any] = {}
    name: str | None = stage
    while name:
        settings = {**written[name], **settings}
        name = settings.pop("extends", None)
    return settings


def settings_module(stage: Stage) -> str:
    """Return the text of zappa_settings.py, which Zappa's handler reads in the function."""
    with _settings_file(stage, {}) as path, tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "zappa_settings.py")
        _run("save-python-settings-file", stage, "--settings_file", str(path), "--output_path", str(output))
        return output.read_text()


def deploy(stage: Stage, settings: Mapping[str, Any], *, package: str) -> None:
    """Make the stage's function, and its API where it has one, from a package in a bucket (s3://…).

    Raises:
        ZappaFailed: it couldn't.
    """
    with _settings_file(stage, settings) as path:
        _run("deploy", stage, "--settings_file", str(path), "--zip", package)


def update(stage: Stage, settings: Mapping[str, Any], *, package: str) -> None:
    """Give the stage's function this package and these settings.

    Raises:
        ZappaFailed: it couldn't.
    """
    with _settings_file(stage, settings) as path:
        _run("update", stage, "--settings_file", str(path), "--zip", package)


@contextmanager
def _settings_file(stage: Stage, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Write what is checked in, completed for one environment, into a folder of its own.

    Zappa looks through the folder it runs in for code that would change what it makes; here is none.
    """
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-{stage}-") as folder:
        path = Path(folder, SETTINGS.name)
        path.write_text(json.dumps({stage: {**stage_settings(stage), **settings}}))
        yield path


def _run(command: str, stage: Stage, *arguments: str) -> None:
    program = str(Path(sys.executable).with_name("zappa"))
    folder = Path(arguments[arguments.index("--settings_file") + 1]).parent
    # --json: without it Zappa first asks PyPI whether there is a newer Zappa.
    called = [program, command, stage, "--json", "--disable_progress", *arguments]
    done = subprocess.run(called, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"zappa {command} {stage}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        raise ZappaFailed(msg)

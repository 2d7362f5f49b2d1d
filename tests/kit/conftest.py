"""Where the kit's tests of the embedded PostgreSQL keep their clusters."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fatfire.kit.postgres import EmbeddedPostgres


def open_folder() -> Path:
    """Make a folder that the server's account can reach; as root, pytest's own `tmp_path` is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="fatfire-test-"))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def empty_root() -> Iterator[Path]:
    """Give the root of a cluster that doesn't exist yet."""
    folder = open_folder()
    yield folder / "cluster"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def initialised_root() -> Iterator[Path]:
    """Give a cluster to copy from, made once."""
    folder = open_folder()
    with EmbeddedPostgres(folder / "cluster", durable=False):
        pass
    yield folder / "cluster"
    shutil.rmtree(folder)


def copy_cluster(source: Path, target: Path) -> None:
    """Copy a stopped cluster with its owners."""
    subprocess.run(["/bin/cp", "-a", source, target], check=True)

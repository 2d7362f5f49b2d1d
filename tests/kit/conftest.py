"""Where the kit's tests of the embedded PostgreSQL keep their clusters."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def cluster_root() -> Iterator[Path]:
    """Give a folder that the server's account can reach; as root, pytest's own `tmp_path` is closed to others."""
    parent = Path(tempfile.mkdtemp(prefix="fatfire-test-"))
    parent.chmod(0o711)
    yield parent / "cluster"
    shutil.rmtree(parent)

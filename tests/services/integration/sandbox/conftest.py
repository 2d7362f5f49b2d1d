"""A bank of its own for each test."""

import pytest

from tests.contracts.bank import running_bank


@pytest.fixture
def bank(tmp_path):
    with running_bank(tmp_path / "bank.sqlite3") as running:
        yield running

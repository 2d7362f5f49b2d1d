"""`manage.py migrate` as a deployment runs it, beside a release that serves."""

import pytest
from django.core.management import call_command
from django.db import OperationalError

from tenants.management.commands import migrate


def test_lock_that_someone_holds_is_given_up_on(database, admin, monkeypatch):
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    with admin.transaction():
        admin.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(OperationalError, match="canceling statement due to lock timeout"):
            call_command("migrate", verbosity=0)

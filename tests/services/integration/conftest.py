"""A running bank, and a household that has linked it."""

import json
from decimal import Decimal

import pytest

from fatfire.kit import http
from services.integration.models import Link
from services.integration.sandbox.answers import exact_json
from services.integration.sandbox.server import Server
from services.jobs.models import Job
from tenants.isolation import tenant
from tests.contracts.bank import NOW
from tests.slices.linked import (
    connected_bank,
    link_bank,
    request_sync,
)
from workers.runner import advance


@pytest.fixture
def bank(tmp_path, settings, database):
    with connected_bank(tmp_path, settings) as running:
        yield running


@pytest.fixture
def linked(bank, run_jobs):
    """A link whose first import is done."""
    made = link_bank(bank)
    run_jobs(now=lambda: NOW)
    return made


@pytest.fixture
def sync(run_jobs):
    """Import once more, and return the import's job."""

    def run(linked, at=NOW):
        job_id = request_sync(linked, at=at)
        run_jobs(now=lambda: at)
        with tenant(linked.tenant_id):
            return Job.objects.get(id=job_id)

    return run


class Altered:
    """The bank, but that it lists its accounts as `change` makes them: as no household of the simulator has them."""

    def __init__(self, application, change):
        self.application, self.change = application, change

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/accounts/get":
            return self.application(environ, start_response)
        started = []
        answer = json.loads(
            b"".join(self.application(environ, lambda *args: started.extend(args))), parse_float=Decimal
        )
        answer["accounts"] = [changed for each in answer["accounts"] if (changed := self.change(each)) is not None]
        content = exact_json(answer).encode()
        start_response(started[0], [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]


@pytest.fixture
def sync_from(bank, settings):
    """Import everything anew from a bank that lists its accounts as a function makes them; return the job."""

    def run(linked, change):
        with tenant(linked.tenant_id):
            Link.objects.update(cursor="")
        job_id = request_sync(linked)
        with Server(Altered(bank.checked, change), 0) as server:
            settings.PLAID_URL = server.url
            advance(job_id=job_id, tenant_id=linked.tenant_id, now=lambda: NOW)
            http.close_connections()
        settings.PLAID_URL = bank.url
        with tenant(linked.tenant_id):
            return Job.objects.get(id=job_id)

    return run

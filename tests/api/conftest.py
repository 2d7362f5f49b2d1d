"""What the tests of the API share."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import HttpResponse

from tenants.isolation import tenant
from tenants.models import Tenant
from tests.api.document import call, fields_of, problem_of
from tests.factories import make_key, make_tenant

ROOT = "/api/v1"


@dataclass(frozen=True)
class Home:
    """A tenant, and calls by its owner's key."""

    tenant: Tenant
    key: str

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> HttpResponse:
        """Make one call; `body` is JSON values, or bytes to be sent as they are."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body, default=str)
        return call(method, ROOT + path, key=self.key, body=sent, **options)

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer's JSON of a GET that succeeds; a trailing underscore in a name is for Python's sake."""
        response = self.call("GET", path, query={name.rstrip("_"): value for name, value in query.items()})
        assert response.status_code == 200, response.content
        return json.loads(response.content)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON of a write that succeeds."""
        response = self.call(method, path, body)
        assert 200 <= response.status_code < 300, response.content
        return json.loads(response.content)

    def refusal(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str, set[str]]:
        """Return status, code and the fields at fault of a call that fails."""
        response = self.call(method, path, body, **options)
        assert response.status_code >= 400, response.content
        return *problem_of(response), fields_of(response)

    def scope(self) -> Any:
        """Open the tenant's scope, to make rows in or to look."""
        return tenant(self.tenant.id)


@pytest.fixture
def home(database) -> Home:
    """Return a new tenant in Sydney with Australian dollars."""
    owner = make_tenant()
    return Home(owner, make_key(owner))

"""What API Gateway asks before it lets a request of /api/v1 in: whose key is this?

The identity source is the header X-API-Key. A key belongs to exactly one tenant, so that the tenant is in it. Nothing
is decided by path, and nothing is final: the application reads key and membership afresh (fatfire/middleware.py).
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
django.setup()

from fatfire.kit import clock  # noqa: E402
from services.accounts import queries as accounts  # noqa: E402
from tenants.isolation import tenant  # noqa: E402

DENIED: Final = {"isAuthorized": False}
LONGEST_KEY = 200


def authorize(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to an event of a REQUEST authorizer (payload 2.0, simple responses).

    A key that is good lets the request in, with `userId`, `tenantId` and `apiKeyId` as text in its context. What is
    odd is denied. An exception (no database) is no leave: API Gateway answers 500.
    """
    headers = event.get("headers")
    secret = headers.get("x-api-key") if isinstance(headers, Mapping) else None
    if not isinstance(secret, str) or not 0 < len(secret) <= LONGEST_KEY or event.get("identitySource") != [secret]:
        return dict(DENIED)
    owner = accounts.owner_of_key(secret=secret)
    if owner is None:
        return dict(DENIED)
    with tenant(owner.tenant_id):
        principal = accounts.principal_of_key(api_key_id=owner.api_key_id, secret=secret, at=clock.now())
    if principal is None:
        return dict(DENIED)
    said = {"userId": principal.user_id, "tenantId": principal.tenant_id, "apiKeyId": owner.api_key_id}
    return {"isAuthorized": True, "context": {name: str(value) for name, value in said.items()}}

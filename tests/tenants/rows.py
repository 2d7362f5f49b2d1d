"""One valid row of each tenant model, for the guard of the isolation (tests/test_tenancy_guard.py).

A service may keep its own in tests/services/<service>/rows.py, as a dictionary ROWS of the same form.
"""

import datetime as dt
import itertools
import uuid
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from uuid import UUID

from django.apps import apps
from django.db.models import Model

from services.accounts.models import ApiKey
from services.core.models import Asset, Transaction, Valuation
from services.history.models import AssetDay, PortfolioDay, RollupState
from services.integration.models import Link, LinkedAccount
from services.jobs.models import Job, JobStep
from services.telemetry.models import Invocation
from tenants.models import AuditEvent, Membership, Tenant, TenantKey, User
from tenants.permissions import Role
from tests.factories import AT, TODAY, make_asset, make_portfolio

_numbers = itertools.count(1)


def _new_asset() -> Asset:
    return make_asset(make_portfolio())


def _link() -> Link:
    return Link.objects.create(portfolio=make_portfolio(), provider="plaid", **_LINK_SECRET)


def _job() -> Job:
    return Job.objects.create(kind="guard.test", subject_id=uuid.uuid4(), created_at=AT)


_LINK_SECRET = {
    field.name: b"secret" for field in Link._meta.fields if field.name in {"link_token", "link_token_digest"}
}

ROWS: dict[str, Callable[[], Model]] = {
    "tenants.Tenant": Tenant.objects.get,
    "tenants.Membership": lambda: Membership.objects.create(user_id=_stranger(), role=Role.VIEWER, created_at=AT),
    "tenants.TenantKey": lambda: TenantKey.objects.create(wrapped=b"wrapped", created_at=AT),
    "tenants.AuditEvent": lambda: AuditEvent.objects.create(action="create", subject="guard", at=AT),
    "accounts.ApiKey": lambda: ApiKey.objects.create(
        membership=Membership.objects.first(), name="guard", role=Role.VIEWER, digest=b"%032d" % next(_numbers)
    ),
    "core.Portfolio": make_portfolio,
    "core.Asset": _new_asset,
    "core.Valuation": lambda: Valuation.objects.create(
        asset=_new_asset(), on=TODAY, value=Decimal("12.50"), observed_at=AT
    ),
    "core.Transaction": lambda: Transaction.objects.create(
        asset=_new_asset(), booked_on=TODAY, amount=Decimal("-12.50"), description="Groceries"
    ),
    "history.AssetDay": lambda: AssetDay.objects.create(
        asset=_new_asset(), day=TODAY, value=Decimal("12.50"), estimated=False
    ),
    "history.PortfolioDay": lambda: PortfolioDay.objects.create(
        portfolio=make_portfolio(),
        day=TODAY,
        currency="AUD",
        assets=Decimal("12.50"),
        debts=Decimal(0),
        estimated=False,
        missing=0,
    ),
    "history.RollupState": lambda: RollupState.objects.create(
        portfolio=make_portfolio(), rolled_to=TODAY, rates_load=0
    ),
    "integration.Link": _link,
    "integration.LinkedAccount": lambda: LinkedAccount.objects.create(
        link=_link(), asset=_new_asset(), external_id=f"a{next(_numbers)}"
    ),
    "jobs.Job": _job,
    "jobs.JobStep": lambda: JobStep.objects.create(
        job=_job(), name="run", position=0, state="queued", run_after=AT + dt.timedelta(days=1)
    ),
    "telemetry.Invocation": lambda: Invocation.objects.create(
        kind="request", name="GET /guard", outcome="ok", status=200, started_at=AT, duration_ms=1, request_id="guard"
    ),
}

for _app in apps.get_app_configs():
    if _app.name.startswith("services.") and find_spec(f"tests.{_app.name}") and find_spec(f"tests.{_app.name}.rows"):
        ROWS |= import_module(f"tests.{_app.name}.rows").ROWS


def _stranger() -> UUID:
    """Return the id of a user who was made before, by the guard: app_tenant may neither make one nor see a stranger."""
    return _guest_id(Tenant.objects.get().slug)


def _guest_id(slug: str) -> UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"guest.{slug}.example")


def make_guest(tenant: Tenant) -> User:
    """Make, as operator, the user whose membership is the tenant's row of tenants.Membership."""
    facts = {"email": f"guest@{tenant.slug}.example", "created_at": AT}
    return User.objects.get_or_create(id=_guest_id(tenant.slug), defaults=facts)[0]


def row_of(label: str) -> Model:
    """Make a row of the model in the open tenant scope.

    Raises:
        LookupError: nobody said how.
    """
    if label not in ROWS:
        msg = f"no row for {label}: add how to make a valid one to ROWS in tests/tenants/rows.py"
        raise LookupError(msg)
    return ROWS[label]()

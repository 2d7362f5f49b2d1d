"""The households whose pages are looked at, always on the same morning: by the guard and in the pictures.

The first is the demo's, read from the bank simulator by the product itself. The others are in the states that no
demo shows: nothing yet, a bank on the way, banks in trouble.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from django.db import connections
from django.test import Client, override_settings
from django.urls import reverse
from pydantic import SecretStr

from fatfire import demo
from fatfire.kit import clock, http
from fatfire.kit.serving import Server
from services.accounts import operations as accounts
from services.accounts.sign_in import create_sign_in_token
from services.cleanup.jobs import DELETE_ASSETS, REMOVE_LINKS
from services.cleanup.operations import request_portfolio_deletion
from services.core import operations as core
from services.core.models import Asset, AssetKind, Portfolio, Side
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkedAccount, LinkState
from services.integration.sandbox.app import CLIENT_ID, SECRET
from services.integration.sandbox.server import serve
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep, State
from tenants.isolation import operator, tenant
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role
from tests.browser.catalogue import Look
from tests.services.media.household import fill_with_videos, send_a_video
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import run_due

AT = dt.datetime(2026, 3, 17, 22, 10, tzinfo=dt.UTC)
"""The present: ten past nine in the morning of 18 March in Sydney."""
ZONE = "Australia/Sydney"
TODAY = clock.local_date(AT, ZONE)


@dataclass(frozen=True)
class World:
    """The running site at `url`; for each who of the catalogue their tenant, and the cookie of their session.

    The operator of the console has a cookie only.
    """

    url: str
    tenants: dict[str, Tenant]
    cookies: dict[str, str]

    def address(self, look: Look) -> str:
        """Return where the look's page is."""
        if look.path:
            return self.url + look.path
        if not look.who:
            return self.url + reverse(look.url, kwargs=look.arguments()) + look.query
        with tenant(self.tenants[look.who].id):
            return self.url + reverse(look.url, kwargs=look.arguments()) + look.query


@contextmanager
def running_world(application, folder: Path) -> Iterator[World]:
    """Make the households, sign everybody in and serve the site, with a bank beside it; the clock stands still."""
    present = SimpleNamespace(datetime=SimpleNamespace(now=lambda zone: AT), UTC=dt.UTC)
    with patch.object(clock, "dt", present), serve(folder / "bank.sqlite3", 0) as bank:
        plaid = {"PLAID_URL": bank.url, "PLAID_CLIENT_ID": CLIENT_ID, "PLAID_SECRET": SecretStr(SECRET)}
        with (
            override_settings(ROOT_URLCONF="tests.browser.planted", **plaid),
            Server(application, 0, largest_request_bytes=1 << 30) as server,
        ):
            yield _world(server.url)
        http.close_connections()
    for connection in connections.all(initialized_only=True):
        connection.close()


def _world(url: str) -> World:
    demo.load_rates(at=AT)
    home = demo.seed(demo.HOUSEHOLDS[0], at=AT)
    send_a_video(home.id, at=AT)
    run_due(now=lambda: AT)
    tenants = {
        "owner": home,
        "viewer": home,
        "newcomer": _household("Newcomers", "newcomer"),
        "linker": _household("Linkers", "linker"),
        "troubled": _household("Household with everything", "troubled"),
    }
    demo.make_key(home, at=AT)
    with tenant(tenants["linker"].id):
        _link(_portfolio("Family wealth"), "", LinkState.PENDING)
    with tenant(tenants["troubled"].id):
        _fill_troubled()
    with operator():
        guest = User.objects.create(email="sam@harper.example", name="Sam Harper", created_at=AT)
        Membership.objects.create(tenant=home, user=guest, role=Role.VIEWER, created_at=AT)
        host = Membership.objects.get(tenant=tenants["troubled"], role=Role.OWNER).user
        Membership.objects.create(tenant=home, user=host, role=Role.VIEWER, created_at=AT)
    cookies = {who: _sign_in(each, Role.VIEWER if who == "viewer" else Role.OWNER) for who, each in tenants.items()}
    cookies["operator"] = _follow(demo.make_operator_path(at=AT)).cookies["sessionid"].value
    return World(url, tenants, cookies)


def _household(name: str, slug: str) -> Tenant:
    return accounts.create_tenant(
        name=name, slug=slug, owner_email=f"{slug}@home.example",
        home_currency="AUD", time_zone=ZONE, country="AU", at=AT,
    )  # fmt: skip


def _sign_in(home: Tenant, role: Role) -> str:
    """Return the cookie of a session of the tenant's oldest member with the role."""
    with tenant(home.id):
        user_id = Membership.objects.filter(role=role).earliest("created_at", "id").user_id
    client = _follow(f"/sign-in/{create_sign_in_token(user_id=user_id, at=AT)}")
    assert client.post("/switch-tenant", {"tenant": home.id}).status_code == 302
    return client.cookies["sessionid"].value


def _follow(link: str) -> Client:
    """Return a browser that has used the link to sign in."""
    client = Client()
    assert client.post(link).status_code == 302
    return client


def _portfolio(name: str) -> Portfolio:
    return core.create_portfolio(name=name, currency="AUD", time_zone=ZONE, at=AT)


def _fill_troubled() -> None:
    """Fill the household with what makes pages look bad: long names, large amounts, a bank in every state."""
    portfolio = _portfolio("The family's investments and everything else together")
    for each in (portfolio, _portfolio("Company")):
        fill_with_videos(each, at=AT)
    _begin_deletion(_portfolio("The house by the lake, with all that went on in it over the years"))
    _link(portfolio, "", LinkState.PENDING)
    revoked = _link(portfolio, "Coastal Credit Union", LinkState.REVOKED, read=dt.timedelta(days=23))
    _account(revoked, "Offset account", "18422.17", on=TODAY - dt.timedelta(days=23))
    reading = _link(portfolio, "Raiffeisen-Volksbank Donau-Inn-Rottal", LinkState.ACTIVE, read=dt.timedelta(days=2))
    _account(reading, "Gemeinschaftliches Haushaltskonto von Alexandra und Maximilian", "123456789.01", on=TODAY)
    _account(reading, "Savings", None, on=TODAY)
    _job(reading, state=State.RUNNING, started_at=AT, progress_done=3, progress_total=8, progress_note="Page 3 of 8")
    failed = _link(portfolio, "Wattle Bank", LinkState.ACTIVE, read=dt.timedelta(hours=9))
    _account(failed, "Everyday", "-1250.00", on=TODAY - dt.timedelta(days=1))
    _job(failed, state=State.FAILED, started_at=AT, finished_at=AT, error_code="temporarily_unavailable")
    car = core.create_asset(
        portfolio_id=portfolio.id, name="Estate car with a trailer, 2009", kind=AssetKind.VEHICLE,
        side=Side.ASSET, currency="USD", at=AT,
    )  # fmt: skip
    core.set_value(asset_id=car.id, on=TODAY, value=Decimal("2400.50"), at=AT)
    core.close_asset(asset_id=car.id, on=TODAY, at=AT)
    loan = core.create_asset(
        portfolio_id=portfolio.id, name="Loan from grandmother", kind=AssetKind.LOAN,
        side=Side.DEBT, currency="AUD", at=AT,
    )  # fmt: skip
    core.set_value(asset_id=loan.id, on=TODAY, value=Decimal("-25000.00"), at=AT)


def _begin_deletion(portfolio: Portfolio) -> None:
    """Stop its deletion after the banks, while the portfolio can still be kept."""
    core.create_asset(
        portfolio_id=portfolio.id, name="House", kind=AssetKind.PROPERTY, side=Side.ASSET, currency="AUD", at=AT
    )
    job = request_portfolio_deletion(portfolio_id=portfolio.id, at=AT)
    Job.objects.filter(id=job.id).update(state=State.RUNNING, started_at=AT)
    steps = JobStep.objects.filter(job=job)
    steps.filter(name=REMOVE_LINKS).update(
        state=State.SUCCEEDED, attempts=2, started_at=AT, finished_at=AT, output={"links": 0}
    )
    steps.filter(name=DELETE_ASSETS).update(state=State.QUEUED)


def _link(portfolio: Portfolio, institution: str, state: LinkState, read: dt.timedelta | None = None) -> Link:
    """Return a link that was read that long ago."""
    secrets = {} if state == LinkState.PENDING else {"item_id": uuid.uuid4().hex, "access_token": b"sealed"}
    return Link.objects.create(
        portfolio=portfolio, provider="plaid", state=state, institution=institution, created_at=AT,
        synced_at=AT - read if read else None, **secrets,
    )  # fmt: skip


def _account(link: Link, name: str, value: str | None, *, on: dt.date) -> Asset:
    asset = core.import_asset(
        portfolio_id=link.portfolio_id, source=link.provider, external_id=uuid.uuid4().hex, name=name,
        kind=AssetKind.BANK_ACCOUNT, side=Side.ASSET, currency="AUD", institution=link.institution, at=AT,
    )  # fmt: skip
    LinkedAccount.objects.create(link=link, asset=asset, external_id=asset.external_id, mask="4821")
    if value is not None:
        core.import_balances(balances={asset.id: Decimal(value)}, source=link.provider, on=on, at=AT)
    return asset


def _job(link: Link, **progress: object) -> None:
    job = jobs.enqueue(kind=SYNC_LINK, subject_id=link.id, at=AT)
    Job.objects.filter(id=job.id).update(**progress)
    shown = {name: value for name, value in progress.items() if not name.startswith("progress_")}
    if progress["state"] == State.RUNNING:
        shown["lease_until"] = AT + dt.timedelta(seconds=SYNC_LINK.lease_s)
    JobStep.objects.filter(job=job).update(**shown, attempts=1)

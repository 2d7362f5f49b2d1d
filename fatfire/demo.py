"""The demo: two households, their banks in the simulator, what they keep by hand, an operator; by the real doors.

Nothing here is read by the product itself.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from fatfire import demo_records
from fatfire.kit.clock import local_date
from fatfire.kit.money import to_text
from services.accounts import operations as accounts
from services.accounts.operators import make_operator
from services.accounts.sign_in import CONSOLE, create_sign_in_token
from services.analytics import queries as analytics
from services.core import operations as core
from services.core import queries as core_queries
from services.exchange.jobs import LOAD_RATES
from services.history import queries as history
from services.integration import operations as integration
from services.integration import queries as integration_queries
from services.integration.models import LinkState
from services.integration.providers.plaid import Plaid
from services.jobs import operations as jobs
from tenants.isolation import operator, tenant
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role


@dataclass(frozen=True, slots=True)
class Estimate:
    """Something kept by hand: what it was thought to be worth, `years_ago` and now."""

    name: str
    kind: core.AssetKind
    worth: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Household:
    """A tenant of the demo: the banks it links and what it keeps by hand."""

    name: str
    slug: str
    email: str
    owner: str
    currency: str
    time_zone: str
    country: str
    institutions: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    keeps_records: bool = False


OPERATOR = "olive@fatfire.example"

HOUSEHOLDS = (
    Household(
        name="Harper family",
        slug="harper",
        email="alex@harper.example",
        owner="Alex Harper",
        currency="AUD",
        time_zone="Australia/Sydney",
        country="AU",
        institutions=("ins_900001", "ins_900002", "ins_900003", "ins_900004"),
        estimates=(
            Estimate(
                "House in Marrickville",
                core.AssetKind.PROPERTY,
                ((2, "715000.00"), (1, "748000.00"), (0, "785000.00")),
            ),
            Estimate("Family car", core.AssetKind.VEHICLE, ((2, "31500.00"), (0, "22400.00"))),
        ),
        keeps_records=True,
    ),
    Household(
        name="Okafor household",
        slug="okafor",
        email="ada@okafor.example",
        owner="Ada Okafor",
        currency="USD",
        time_zone="America/New_York",
        country="US",
        institutions=("ins_900004",),
        estimates=(Estimate("Condominium", core.AssetKind.PROPERTY, ((2, "402000.00"), (0, "431000.00"))),),
    ),
)


def load_rates(*, at: dt.datetime) -> None:
    """Queue the exchange rates."""
    with operator():
        jobs.enqueue(kind=LOAD_RATES, at=at)


def is_unseeded() -> bool:
    """Return whether there is no household yet."""
    with operator():
        return not Tenant.objects.exists()


def seed(household: Household, *, at: dt.datetime) -> Tenant:
    """Return the household's tenant; at first with a portfolio, what it keeps by hand, and its banks. Repeatable."""
    try:
        owner = accounts.create_tenant(
            name=household.name,
            slug=household.slug,
            owner_email=household.email,
            home_currency=household.currency,
            time_zone=household.time_zone,
            country=household.country,
            at=at,
        )
        with operator():
            User.objects.filter(email=household.email).update(name=household.owner)
    except accounts.SlugTaken:
        with operator():
            owner = Tenant.objects.get(slug=household.slug)
    with tenant(owner.id):
        portfolio = core_queries.list_portfolios().first()
        user_id = Membership.objects.get(role=Role.OWNER).user_id
        if portfolio is None:
            portfolio = core.create_portfolio(
                name="Family wealth", currency=household.currency, time_zone=household.time_zone, at=at
            )
            for estimate in household.estimates:
                _keep_by_hand(estimate, portfolio, at=at)
            if household.keeps_records:
                demo_records.record_all(portfolio, at=at)
        # In this order, and not by name: a link learns its bank's name with its first import.
        linked = integration_queries.list_links().exclude(state=LinkState.PENDING).count()
    bank = Plaid(settings.PLAID_URL, settings.PLAID_CLIENT_ID, settings.PLAID_SECRET.get_secret_value())
    for institution_id in household.institutions[linked:]:
        started = integration.start_link(tenant_id=owner.id, portfolio_id=portfolio.id, user_id=user_id, at=at)
        public_token = bank.create_sandbox_public_token(institution_id)
        integration.complete_link(tenant_id=owner.id, link_id=started.link_id, public_token=public_token, at=at)
    return owner


def _keep_by_hand(estimate: Estimate, portfolio: core.Portfolio, *, at: dt.datetime) -> None:
    today = local_date(at, portfolio.time_zone)
    asset = core.create_asset(
        portfolio_id=portfolio.id,
        name=estimate.name,
        kind=estimate.kind,
        side=core.Side.ASSET,
        currency=portfolio.currency,
        at=at,
    )
    for years_ago, worth in estimate.worth:
        day = today - dt.timedelta(days=365 * years_ago)
        core.set_value(asset_id=asset.id, on=day, value=Decimal(worth), at=at)


def make_key(owner: Tenant, *, at: dt.datetime) -> str:
    """Return a new API key of the tenant's owner; it is for this machine and ends in a day."""
    with tenant(owner.id):
        membership = Membership.objects.get(role=Role.OWNER)
        return accounts.create_api_key(
            membership_id=membership.id, name="demo", role=Role.OWNER, at=at, expires_at=at + dt.timedelta(days=1)
        ).secret


def make_sign_in_path(owner: Tenant, *, at: dt.datetime) -> str:
    """Return the path of a link that signs the tenant's owner in, once, within ten minutes."""
    with tenant(owner.id):
        user_id = Membership.objects.get(role=Role.OWNER).user_id
    return f"/sign-in/{create_sign_in_token(user_id=user_id, at=at)}"


def make_operator_path(*, at: dt.datetime) -> str:
    """Return the path of a link that signs the demo's operator in to the console, once, within ten minutes."""
    with operator():
        user_id = make_operator(email=OPERATOR, at=at).id
        User.objects.filter(id=user_id).update(name="Olive Operator")
    return f"/sign-in/{create_sign_in_token(user_id=user_id, next_path=CONSOLE, at=at)}"


def summary(owner: Tenant, *, at: dt.datetime) -> dict[str, str | int]:
    """Return what the tenant's portfolio is worth today (money as text; debts ≤ 0; assets + debts = net_worth)."""
    with tenant(owner.id):
        portfolio = core_queries.list_portfolios().get()
        today = local_date(at, portfolio.time_zone)
        totals = analytics.totals(portfolio_id=portfolio.id, on=today)
        return {
            "name": owner.name,
            "portfolio": portfolio.name,
            "currency": portfolio.currency,
            "assets": to_text(totals.assets, portfolio.currency),
            "debts": to_text(totals.debts, portfolio.currency),
            "net_worth": to_text(totals.net_worth, portfolio.currency),
            "accounts": core_queries.list_assets(portfolio_id=portfolio.id).count(),
            "transactions": core_queries.transaction_count(portfolio_id=portfolio.id),
            "history_days": history.list_portfolio_days(portfolio_id=portfolio.id).count(),
        }

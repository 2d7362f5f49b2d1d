"""The rollup agrees with the reference on random books: from scratch, and bit by bit after random edits."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core import operations as core
from services.core.models import Asset, Portfolio, Transaction, Valuation
from services.core.operations import ImportedTransaction
from services.exchange.models import Rate
from services.history import operations
from services.history.models import AssetDay, PortfolioDay, RollupState
from services.history.operations import Written
from tenants.isolation import operator, tenant
from tests.factories import AT, TODAY, make_portfolio, make_tenant
from tests.services.history.rolling import add_rates, claimed_progress, expected, stored

CURRENCIES = ["AUD", "EUR", "USD", "JPY", "KWD", "NGN"]  # the Central Bank publishes none for the last
ZONES = ["Australia/Sydney", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"]
PORTFOLIOS, ASSETS = 3, 5

days = st.integers(-30, 3).map(lambda offset: TODAY + dt.timedelta(days=offset))
amounts = st.one_of(
    st.integers(-9999, 9999).map(lambda cents: Decimal(cents) / 100), st.sampled_from([Decimal("0.005")])
)
assets = st.integers(0, ASSETS - 1)
portfolios = st.integers(0, PORTFOLIOS - 1)
currencies, zones = st.sampled_from(CURRENCIES), st.sampled_from(ZONES)

edits = st.one_of(
    st.tuples(st.just("value"), assets, days, amounts),
    st.tuples(st.just("move"), assets, days, amounts, st.booleans(), st.integers(0, 9)),
    st.tuples(st.just("move"), assets, days, amounts, st.just(value=False), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("close"), assets, days),
    st.tuples(
        st.just("rate"),
        st.sampled_from(["AUD", "USD", "JPY", "KWD"]),
        days,
        st.sampled_from(["0.3", "1.6079", "3", "175.68"]),
    ),
    st.tuples(st.just("portfolio"), portfolios, currencies, zones),
)
books = st.tuples(
    st.lists(st.tuples(currencies, zones), min_size=PORTFOLIOS, max_size=PORTFOLIOS),
    # Portfolio, currency, kept by hand?
    st.lists(st.tuples(portfolios, currencies, st.booleans()), min_size=ASSETS, max_size=ASSETS),
    # Each round of edits is followed by a rollup, so many hours after the one before.
    st.lists(st.tuples(st.lists(edits, max_size=12), st.sampled_from([0, 0, 7, 24, 60])), min_size=1, max_size=4),
)


def apply(edit: tuple, asset_ids: list[UUID], portfolio_ids: list[UUID]) -> None:
    """Make one edit through core's operations, as imports and pages do."""
    match edit:
        case "value", asset, day, value:
            core.import_balances(balances={asset_ids[asset]: value}, source="plaid", on=day, at=AT)
        case "move", asset, day, amount, pending, number:
            row = ImportedTransaction(f"t{number}", asset_ids[asset], day, amount, "x", pending=pending)
            core.import_transactions(source="plaid", upserts=[row], removed=[], at=AT)
        case "remove", number:
            core.import_transactions(source="plaid", upserts=[], removed=[f"t{number}"], at=AT)
        case "close", asset, day:
            core.close_assets(asset_ids=[asset_ids[asset]], on=day, at=AT)
        case "portfolio", number, currency, zone:
            core.update_portfolio(portfolio_id=portfolio_ids[number], currency=currency, time_zone=zone, at=AT)


def make_book_asset(portfolio_id: UUID, currency: str, external_id: str | None) -> UUID:
    """Make an asset that a person keeps by hand, or one that a bank keeps under `external_id`."""
    facts = {"portfolio_id": portfolio_id, "name": "x", "kind": "other", "side": "asset", "currency": currency}
    if external_id is None:
        return core.create_asset(**facts, at=AT).id
    return core.import_asset(**facts, source="plaid", external_id=external_id, institution="", at=AT).id


def clear() -> None:
    """Forget the last example's book."""
    with operator():
        for model in (AssetDay, PortfolioDay, RollupState, Transaction, Valuation, Asset, Portfolio, Rate):
            model.objects.all().delete()


def test_rollup_agrees_with_the_reference(database):
    owner = make_tenant()
    progress = claimed_progress()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(books)
    def agrees(book):
        clear()
        portfolio_facts, asset_facts, rounds = book
        with tenant(owner.id):
            portfolio_ids = [make_portfolio(currency=name, time_zone=zone).id for name, zone in portfolio_facts]
            asset_ids = [
                make_book_asset(portfolio_ids[number], currency, None if by_hand else f"a{each}")
                for each, (number, currency, by_hand) in enumerate(asset_facts)
            ]
        at = AT
        for edits_of_round, hours in rounds:
            add_rates({(edit[1], edit[2]): edit[3] for edit in edits_of_round if edit[0] == "rate"})
            with tenant(owner.id):
                for edit in edits_of_round:
                    apply(edit, asset_ids, portfolio_ids)
            at += dt.timedelta(hours=hours)

            operations.roll_up_due(at=at, progress=progress)

            for portfolio_id in portfolio_ids:
                assert stored(portfolio_id) == expected(portfolio_id, at)
            assert operations.roll_up_due(at=at, progress=progress) == Written()
            with tenant(owner.id):
                for portfolio_id in portfolio_ids:
                    again = operations.roll_up_portfolio(portfolio_id=portfolio_id, at=at)
                    assert again == Written(portfolios=1)

    agrees()

"""A portfolio with a row of everything that can be in one."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from django.apps import apps
from django.db.models import Model

from services.core.models import Portfolio
from services.history.operations import roll_up_portfolio
from services.integration.models import Link, LinkedAccount, LinkState
from tests.factories import AT, TODAY, make_asset, make_portfolio, make_transaction, set_value
from tests.services.insurance.rows import make_policy
from tests.services.media.rows import ready_video
from tests.services.receipts.rows import make_receipt


def full_portfolio(*, name: str = "Family", days: int = 3) -> UUID:
    """Return a portfolio in the open scope with a row of everything.

    Two assets with `days` days of history, records, and a removed link, which left one of its two accounts out.
    """
    portfolio = make_portfolio(name=name)
    house, account = make_asset(portfolio, name="House"), make_asset(portfolio, name="Everyday")
    for asset in (house, account):
        set_value(asset, "100.00", on=TODAY - dt.timedelta(days=days - 1))
        set_value(asset, "120.00")
    paid = make_transaction(account)
    make_transaction(account, amount="-1.00")
    make_policy(portfolio, asset_id=house.id, sum_insured=Decimal(1000))
    make_receipt(portfolio, transaction_id=paid.id)
    ready_video(portfolio, asset_id=house.id)
    link = Link.objects.create(portfolio=portfolio, provider="plaid", state=LinkState.REMOVED, created_at=AT)
    LinkedAccount.objects.create(link=link, asset=account, external_id=str(account.id))
    LinkedAccount.objects.create(link=link, external_id=f"left out of {link.id}")
    roll_up_portfolio(portfolio_id=portfolio.id, at=AT)
    return portfolio.id


def models_of_portfolios() -> list[type[Model]]:
    """Return Portfolio and every model whose rows hang on one, directly or through others."""
    found: list[type[Model]] = []

    def add(model: type[Model]) -> None:
        if model not in found:
            found.append(model)
            for key in _keys_to(model):
                add(key)

    add(Portfolio)
    return found


def _keys_to(model: type[Model]) -> Iterator[type[Model]]:
    for other in apps.get_models():
        if any(field.related_model is model for field in other._meta.fields if field.is_relation):
            yield other


def row_counts() -> dict[str, int]:
    """Return how many rows there are of each model of portfolios, in the open scope."""
    return {model.__name__: model.objects.count() for model in models_of_portfolios()}

"""What the rollup must give, in plain loops over one portfolio. Slow and obvious: this is the specification.

`assets_of` and `all_rates` read the facts through the models, in the open scope.

Amounts are Decimals in units of their currency; days are local dates.
"""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from fatfire.kit.money import MINOR_DIGITS
from services.core import models as core
from services.exchange.models import Rate

FRESH_DAYS = 5
ONE_DAY = dt.timedelta(days=1)


@dataclass
class Asset:
    """One asset's facts. `transactions` holds the booked ones only, as (day, amount). `imported`: from a bank."""

    currency: str
    imported: bool = False
    values: dict[dt.date, Decimal] = field(default_factory=dict)
    transactions: list[tuple[dt.date, Decimal]] = field(default_factory=list)
    closed_on: dt.date | None = None


@dataclass(frozen=True)
class Worth:
    """An amount, and whether it is only an estimate."""

    value: Decimal
    estimated: bool


@dataclass(frozen=True)
class Total:
    """A portfolio's day."""

    assets: Decimal
    debts: Decimal
    estimated: bool
    missing: int


type Rates = dict[str, dict[dt.date, Decimal]]
"""Units per euro, by currency and day."""


def first_told_of(asset: Asset) -> dt.date | None:
    """Return the first day of which anything is told."""
    return min([*asset.values, *(day for day, _ in asset.transactions)], default=None)


def first_day_of(asset: Asset, assets: dict[str, Asset]) -> dt.date | None:
    """Return the first day of its history: a bank's asset was there when any bank's was."""
    first = first_told_of(asset)
    if first is None or not asset.imported:
        return first
    siblings = [first_told_of(each) for each in assets.values() if each.imported]
    return min(each for each in siblings if each is not None)


def is_counted(asset: Asset, assets: dict[str, Asset], day: dt.date) -> bool:
    """Return whether the asset's history covers the day."""
    first = first_day_of(asset, assets)
    return first is not None and first <= day and (asset.closed_on is None or day < asset.closed_on)


def worth_of(asset: Asset, day: dt.date) -> Worth | None:
    """Return what the asset was worth in its own currency; None when nobody knows."""
    if not asset.values:
        return None
    until = [on for on in asset.values if on <= day]
    if until:
        newest = max(until)
        since = sum(amount for on, amount in asset.transactions if newest < on <= day)
        return Worth(asset.values[newest] + since, estimated=False)
    oldest = min(asset.values)
    between = sum(amount for on, amount in asset.transactions if day < on <= oldest)
    return Worth(asset.values[oldest] - between, estimated=True)


def rate_of(currency: str, day: dt.date, rates: Rates) -> Worth | None:
    """Return units of the currency per euro; None when nobody knows."""
    if currency == "EUR":
        return Worth(Decimal(1), estimated=False)
    known = rates.get(currency)
    if not known:
        return None
    until = [on for on in known if on <= day]
    if until:
        newest = max(until)
        return Worth(known[newest], estimated=(day - newest).days > FRESH_DAYS)
    return Worth(known[min(known)], estimated=True)


def converted(worth: Worth, base: str, quote: str, day: dt.date, rates: Rates) -> Worth | None:
    """Return the worth in `quote`, rounded to its minor unit, halves away from zero; None when nobody knows."""
    exact, estimated = Fraction(worth.value), worth.estimated
    if base != quote:
        base_rate, quote_rate = rate_of(base, day, rates), rate_of(quote, day, rates)
        if base_rate is None or quote_rate is None:
            return None
        exact = exact * Fraction(quote_rate.value) / Fraction(base_rate.value)
        estimated = estimated or base_rate.estimated or quote_rate.estimated
    units = exact * 10 ** MINOR_DIGITS[quote]
    away_from_zero = int(abs(units) + Fraction(1, 2)) * (1 if units >= 0 else -1)
    return Worth(Decimal(away_from_zero).scaleb(-MINOR_DIGITS[quote]), estimated)


def asset_days(assets: dict[str, Asset], today: dt.date) -> dict[tuple[str, dt.date], Worth]:
    """Return the worth of each asset on each day that it has any, until today."""
    found = {}
    for name, asset in assets.items():
        day = first_day_of(asset, assets) or today + ONE_DAY
        while day <= today:
            if is_counted(asset, assets, day) and (worth := worth_of(asset, day)) is not None:
                found[name, day] = worth
            day += ONE_DAY
    return found


def portfolio_days(assets: dict[str, Asset], currency: str, today: dt.date, rates: Rates) -> dict[dt.date, Total]:
    """Return the total of each day from the first of which anything is known, until today."""
    found = {}
    day = min((first for asset in assets.values() if (first := first_told_of(asset))), default=today + ONE_DAY)
    while day <= today:
        owned, owed, estimated, missing = Decimal(0), Decimal(0), False, 0
        for asset in assets.values():
            if not is_counted(asset, assets, day):
                continue
            worth = worth_of(asset, day)
            own = converted(worth, asset.currency, currency, day, rates) if worth else None
            if own is None:
                missing += 1
                continue
            owned += max(own.value, Decimal(0))
            owed += min(own.value, Decimal(0))
            estimated = estimated or own.estimated
        found[day] = Total(owned, owed, estimated, missing)
        day += ONE_DAY
    return found


def assets_of(portfolio: core.Portfolio) -> dict[str, Asset]:
    """Return the facts of the portfolio's assets, by id."""
    found = {}
    for row in core.Asset.objects.filter(portfolio_id=portfolio.id, tenant_id=portfolio.tenant_id):
        of_asset = {"asset_id": row.id, "tenant_id": row.tenant_id}
        found[str(row.id)] = Asset(
            currency=row.currency,
            imported=row.source != core.MANUAL,
            values=dict(core.Valuation.objects.filter(**of_asset).values_list("on", "value")),
            transactions=list(
                core.Transaction.objects.filter(**of_asset, pending=False).values_list("booked_on", "amount")
            ),
            closed_on=row.closed_on,
        )
    return found


def all_rates() -> Rates:
    """Return every rate there is."""
    found: Rates = {}
    for currency, on, per_euro in Rate.objects.values_list("currency", "on", "per_euro"):
        found.setdefault(currency, {})[on] = per_euro
    return found

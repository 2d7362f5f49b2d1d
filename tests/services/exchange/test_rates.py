"""Exchange rates: loading them from the package and over HTTP, and conversion by them."""

import datetime as dt
import socket
import threading
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fatfire.kit import http
from fatfire.kit.errors import InvalidInput
from fatfire.kit.money import MINOR_DIGITS, Money
from services.exchange import operations, queries
from services.exchange.jobs import LOAD_RATES
from services.exchange.models import Rate
from services.exchange.operations import RatesUnreadable
from services.exchange.queries import Conversion, Quote, RateUnknown
from services.history.jobs import ROLL_UP_DUE
from services.jobs import operations as jobs
from services.jobs.models import Job
from tenants.isolation import operator, shared
from tests.factories import AT
from tests.services.history.rolling import add_rates

FRIDAY, SATURDAY, MONDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 21), dt.date(2026, 11, 23)

DAILY = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
    <gesmes:subject>Reference rates</gesmes:subject>
    <gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
    <Cube><Cube time='2026-11-20'>{rates}</Cube></Cube>
</gesmes:Envelope>
"""
BOMB = """<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Cube><Cube time="2026-11-20"><Cube currency="&b;" rate="1"/></Cube></Cube>"""
OUTSIDE = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>
<Cube><Cube time="2026-11-20"><Cube currency="AUD" rate="&file;"/></Cube></Cube>"""


def cube(currency, rate):
    return f"<Cube currency='{currency}' rate='{rate}'/>"


@pytest.fixture
def serving():
    """Return a function that serves a document, with a status, and gives its address."""
    servers = []

    def serve(content, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content.encode() if isinstance(content, str) else content)

            def log_message(self, *arguments):
                """Say nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/eurofxref-daily.xml"

    yield serve
    http.close_connections()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def without_history(database, monkeypatch):
    """Leave out the quarter of a million rates of the package, for tests about the document."""
    monkeypatch.setattr(operations, "_bundled", lambda except_on: iter(()))


def rates():
    with operator():
        return {(row.currency, row.on): (row.per_euro, row.load) for row in Rate.objects.all()}


def test_history_from_the_package_is_loaded_once(database):
    written = operations.load_rates(url="")

    known = [
        ("AUD", dt.date(2024, 6, 28), "1.6079"),
        ("AUD", dt.date(2025, 6, 30), "1.7948"),
        ("AUD", dt.date(2026, 6, 30), "1.6544"),
        ("AUD", dt.date(2026, 10, 30), "1.5904"),
        ("USD", dt.date(2026, 10, 30), "1.1172"),
        ("USD", dt.date(1999, 1, 4), "1.1789"),
    ]
    with operator():
        assert Rate.objects.count() == written > 180_000
        for currency, on, per_euro in known:
            assert Rate.objects.get(currency=currency, on=on).per_euro == Decimal(per_euro)
        assert set(Rate.objects.values_list("currency", flat=True)) <= MINOR_DIGITS.keys()
    assert operations.load_rates(url="") == 0

    with operator():
        Rate.objects.filter(on__range=(dt.date(2026, 1, 1), dt.date(2026, 1, 31))).delete()
        gap = written - Rate.objects.count()
    assert operations.load_rates(url="") == gap > 500
    with operator():
        assert queries.newest_load() == 2
        assert queries.first_day_changed(since=1) == dt.date(2026, 1, 2)


def test_daily_document(without_history, serving):
    url = serving(
        DAILY.format(rates=cube("USD", "1.1172") + cube("AUD", "1.5904") + cube("XAU", "3") + cube("EUR", "2"))
    )

    assert operations.load_rates(url=url) == 2

    expected = {("USD", FRIDAY): (Decimal("1.1172"), 1), ("AUD", FRIDAY): (Decimal("1.5904"), 1)}
    assert rates() == expected
    assert operations.load_rates(url=url) == 0
    assert rates() == expected


def test_corrected_rate_replaces_the_old_one(without_history, serving):
    operations.load_rates(url=serving(DAILY.format(rates=cube("USD", "1.1") + cube("AUD", "1.5"))))

    assert operations.load_rates(url=serving(DAILY.format(rates=cube("USD", "1.1") + cube("AUD", "1.6")))) == 1

    assert rates() == {("USD", FRIDAY): (Decimal("1.1"), 1), ("AUD", FRIDAY): (Decimal("1.6"), 2)}


UNREADABLE = {
    "empty": "",
    "no XML": "<html><p>Down for maintenance",
    "another document": "<html><p>Down for maintenance</p></html>",
    "binary": b"\x89PNG\xff",
    "entity bomb": BOMB,
    "outside entity": OUTSIDE,
    "no rates": DAILY.format(rates=""),
    "unknown currencies only": DAILY.format(rates=cube("XAU", "3")),
    "negative": DAILY.format(rates=cube("USD", "1.1") + cube("AUD", "-1.5")),
    "zero": DAILY.format(rates=cube("AUD", "0")),
    "not a number": DAILY.format(rates=cube("AUD", "NaN")),
    "endless": DAILY.format(rates=cube("AUD", "Infinity")),
    "absurdly large": DAILY.format(rates=cube("AUD", "1e30")),
    "absurdly small": DAILY.format(rates=cube("AUD", "1e-30")),
    "words": DAILY.format(rates=cube("AUD", "much")),
    "no rate": DAILY.format(rates="<Cube currency='AUD'/>"),
    "no day": DAILY.format(rates=cube("AUD", "1.5")).replace("2026-11-20", "2026-11-31"),
}


@pytest.mark.parametrize("document", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_document_changes_nothing(without_history, serving, document):
    add_rates({("AUD", FRIDAY): "1.7"})

    with pytest.raises(RatesUnreadable):
        operations.load_rates(url=serving(document))

    assert rates() == {("AUD", FRIDAY): (Decimal("1.7"), 1)}


def test_missing_document_is_unreadable(without_history, serving):
    with pytest.raises(RatesUnreadable):
        operations.load_rates(url=serving(DAILY.format(rates=cube("AUD", "1.5")), status=404))

    assert rates() == {}


def test_failing_bank_is_unreachable(without_history, serving):
    with pytest.raises(http.Unreachable, match=r"^127\.0\.0\.1/eurofxref-daily\.xml answered 503\.$"):
        operations.load_rates(url=serving("", status=503))


def test_refused_connection_is_unreachable(without_history):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))

        with pytest.raises(http.Unreachable):
            operations.load_rates(url=f"http://127.0.0.1:{unheard.getsockname()[1]}/")


def test_document_is_not_read_in_a_transaction(database, serving):
    url = serving("text")

    with shared(), pytest.raises(http.NetworkInTransaction):
        http.get_text(url)
    assert http.get_text(url) == "text"


def test_job_loads_rates(without_history, serving, run_jobs, settings):
    settings.RATES_URL = serving(DAILY.format(rates=cube("AUD", "1.5904")))
    with operator():
        job = jobs.enqueue(kind=LOAD_RATES, at=AT)

    assert run_jobs(now=lambda: AT) == 2  # and the rollup of what is worth something else by the new rates

    assert rates() == {("AUD", FRIDAY): (Decimal("1.5904"), 1)}
    with operator():
        assert Job.objects.get(id=job.id).state == "succeeded"
        assert Job.objects.get(kind=ROLL_UP_DUE.name).state == "succeeded"


# base, quote, on, rate to ten decimals, day of the rate, estimated
QUOTES = [
    ("EUR", "AUD", FRIDAY, "1.5904000000", FRIDAY, False),
    ("AUD", "EUR", FRIDAY, "0.6287726358", FRIDAY, False),
    ("AUD", "USD", FRIDAY, "0.7024647887", FRIDAY, False),
    ("AUD", "USD", SATURDAY, "0.7024647887", FRIDAY, False),
    ("AUD", "USD", MONDAY, "0.6666666667", FRIDAY, False),  # the dollar has a rate of Monday, ours is of Friday
    ("AUD", "AUD", dt.date(1990, 1, 1), "1.0000000000", dt.date(1990, 1, 1), False),
    ("EUR", "AUD", FRIDAY + dt.timedelta(days=5), "1.5904000000", FRIDAY, False),
    ("EUR", "AUD", FRIDAY + dt.timedelta(days=6), "1.5904000000", FRIDAY, True),
    ("EUR", "AUD", dt.date(1990, 1, 1), "1.5904000000", FRIDAY, True),
    ("EUR", "JPY", FRIDAY, "175.0000000000", MONDAY, True),
]


@pytest.mark.parametrize("case", QUOTES)
def test_quote(database, case):
    base, quote, on, rate, rate_on, estimated = case
    add_rates({("AUD", FRIDAY): "1.5904", ("USD", FRIDAY): "1.1172", ("JPY", MONDAY): "175"})
    add_rates({("USD", MONDAY): "1.0602666667"})

    with shared():
        found = queries.quote(base=base, quote=quote, on=on)

    assert found == Quote(base, quote, found.rate, rate_on, estimated)
    assert f"{found.rate:.10f}" == rate


def test_currency_without_a_rate(database):
    add_rates({("AUD", FRIDAY): "1.5904"})

    with shared():
        for base, quote in [("AUD", "NGN"), ("NGN", "AUD")]:
            with pytest.raises(RateUnknown, match=r"^There is no rate for NGN\.$"):
                queries.quote(base=base, quote=quote, on=FRIDAY)
        for base, quote in [("AUD", "XXX"), ("XXX", "AUD")]:
            with pytest.raises(InvalidInput):
                queries.quote(base=base, quote=quote, on=FRIDAY)


def test_conversion_rounds_once_and_halves_away_from_zero(database):
    add_rates({("USD", FRIDAY): "3", ("AUD", FRIDAY): "0.5", ("JPY", FRIDAY): "175.68", ("KWD", FRIDAY): "0.34567"})
    cases = [
        (Money(Decimal("0.03"), "USD"), "AUD", "0.01"),  # 0.03 * 0.5 / 3 is 0.005: no decimal rate gives that
        (Money(Decimal("-0.03"), "USD"), "AUD", "-0.01"),
        (Money(Decimal("1.01"), "EUR"), "JPY", "177"),
        (Money(Decimal(1), "EUR"), "KWD", "0.346"),
        (Money(Decimal("922337203685477.5807"), "AUD"), "JPY", "324072399886929403"),
        (Money(Decimal("0.005"), "AUD"), "AUD", "0.01"),
    ]

    with shared():
        for money, to, expected in cases:
            found = queries.convert(money=money, to=to, on=FRIDAY)
            quote = queries.quote(base=money.currency, quote=to, on=FRIDAY)
            assert found == Conversion(Money(Decimal(expected), to), quote)


cents = st.integers(-(10**17), 10**17).map(lambda number: Decimal(number).scaleb(-2))
per_euro = st.integers(1, 10**9).map(lambda number: Decimal(number).scaleb(-4))


def test_conversion_is_exact(database):
    @settings(max_examples=50, deadline=None)
    @given(cents, per_euro, per_euro)
    def is_exact(amount, usd, aud):
        add_rates({("USD", FRIDAY): usd, ("AUD", FRIDAY): aud})
        with shared():
            there = queries.convert(money=Money(amount, "USD"), to="AUD", on=FRIDAY).money.amount
            back = queries.convert(money=Money(there, "AUD"), to="USD", on=FRIDAY).money.amount

        exact = Fraction(amount) * Fraction(aud) / Fraction(usd)
        assert abs(Fraction(there) - exact) <= Fraction(1, 200)
        assert there == there.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
        # Half a cent each way, the first in the other currency's worth.
        assert abs(Fraction(back) - Fraction(amount)) <= Fraction(1, 200) * (1 + Fraction(usd) / Fraction(aud))

    is_exact()

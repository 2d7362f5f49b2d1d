"""Portfolios, assets, values over HTTP: what is accepted, what is refused, and that a refusal changes nothing."""

import datetime as dt

import pytest

from fatfire.kit.clock import local_date
from services.core.models import Asset, AssetKind, Portfolio, Side, Transaction, Valuation
from services.jobs.models import Job
from tenants.models import AuditEvent
from tests.factories import AT, make_asset, make_portfolio, make_transaction, set_value


def written(home):
    """Return everything that a write could have left behind."""
    with home.scope():
        return [
            sorted(str(row) for row in model.objects.values_list())
            for model in (Portfolio, Asset, Valuation, Transaction, Job, AuditEvent)
        ]


@pytest.fixture
def refused(home):
    """Return a function that makes a call, which must be refused and change nothing."""

    def refuse(method, path, body):
        before = written(home)
        refusal = home.refusal(method, path, body)
        assert written(home) == before
        return refusal

    return refuse


def test_portfolio_takes_the_tenants_currency_and_time_zone(home):
    created = home.send("POST", "/portfolios", {"name": "  Ours "})

    assert created == {
        "id": created["id"],
        "name": "Ours",
        "currency": "AUD",
        "time_zone": "Australia/Sydney",
        "created_at": created["created_at"],
    }
    assert home.get(f"/portfolios/{created['id']}") == created
    assert home.get("/portfolios") == {"items": [created], "next_cursor": None}


def test_portfolio_takes_its_own_currency_and_time_zone(home):
    body = {"name": "Berlin", "currency": "EUR", "time_zone": "Europe/Berlin"}

    created = home.send("POST", "/portfolios", body)

    assert {name: created[name] for name in body} == body


NOWHERE = "67e55044-10b1-426f-9247-bb680e5fe0c8"
TOO_LONG = "x" * 100_000
MALFORMED_PORTFOLIOS = [
    ({}, {"name"}),
    ({"name": ""}, {"name"}),
    ({"name": "   "}, {"name"}),
    ({"name": "x" * 81}, {"name"}),
    ({"name": TOO_LONG}, {"name"}),
    ({"name": None}, {"name"}),
    ({"name": 1}, {"name"}),
    ({"name": ["x"]}, {"name"}),
    ({"name": "x", "currency": "aud"}, {"currency"}),
    ({"name": "x", "currency": "AUD\n"}, {"currency"}),
    ({"name": "x", "time_zone": TOO_LONG}, {"time_zone"}),
    ({"name": "x", "time_zone": ""}, {"time_zone"}),
    ({"name": "x", "currency": ""}, {"currency"}),
    ({"name": "x", "tenant_id": NOWHERE}, {"tenant_id"}),
    ({"name": "x", "id": NOWHERE}, {"id"}),
    ({"name": "x", "revalue_from": "2026-01-01"}, {"revalue_from"}),
    ({"nam": "x", "currency": 5}, {"nam", "name", "currency"}),
    (None, {"body"}),
    ([], {"body"}),
    ([{"name": "x"}], {"body"}),
    ("x", {"body"}),
    (5, {"body"}),
    (True, {"body"}),
]


@pytest.mark.parametrize(
    ("body", "fields"), MALFORMED_PORTFOLIOS, ids=[str(row[0])[:60] for row in MALFORMED_PORTFOLIOS]
)
def test_malformed_portfolio_is_refused(refused, body, fields):
    assert refused("POST", "/portfolios", body) == (422, "malformed_request", fields)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currency": "XXX"}, "currency"),
        ({"currency": "BTC"}, "currency"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "/etc/localtime"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
        ({"time_zone": "AUSTRALIA/SYDNEY"}, "time_zone"),
    ],
)
def test_unknown_currency_or_time_zone_is_refused(home, refused, body, field):
    with home.scope():
        portfolio = make_portfolio()

    assert refused("POST", "/portfolios", {"name": "x", **body}) == (422, "invalid_input", {field})
    assert refused("PATCH", f"/portfolios/{portfolio.id}", body) == (422, "invalid_input", {field})


@pytest.mark.parametrize("name", ["Ours", "OURS", " ours "])
def test_name_is_taken_once(home, refused, name):
    with home.scope():
        make_portfolio(name="Ours")
        other = make_portfolio(name="Other")

    assert refused("POST", "/portfolios", {"name": name}) == (409, "name_taken", set())
    assert refused("PATCH", f"/portfolios/{other.id}", {"name": name}) == (409, "name_taken", set())


@pytest.mark.parametrize(
    ("body", "jobs"),
    [
        ({}, 0),
        ({"name": None, "currency": None, "time_zone": None}, 0),
        ({"name": "Renamed"}, 0),
        ({"currency": "AUD"}, 0),
        ({"currency": "USD"}, 1),
        ({"time_zone": "Australia/Perth"}, 1),
        ({"name": "All", "currency": "EUR", "time_zone": "Europe/Berlin"}, 1),
    ],
)
def test_portfolio_is_changed_where_said(home, body, jobs):
    with home.scope():
        portfolio = make_portfolio(name="Ours")
    before = home.get(f"/portfolios/{portfolio.id}")

    changed = home.send("PATCH", f"/portfolios/{portfolio.id}", body)

    assert changed == {**before, **{name: value for name, value in body.items() if value is not None}}
    assert home.get(f"/portfolios/{portfolio.id}") == changed
    assert len(home.get("/jobs", subject_id=portfolio.id)["items"]) == jobs


@pytest.mark.parametrize(
    ("kind", "side", "shown"),
    [
        *((kind, None, "debt" if kind in {"loan", "credit_card"} else "asset") for kind in AssetKind),
        ("other", "debt", "debt"),
    ],
)
def test_asset_is_on_the_side_of_its_kind(home, kind, side, shown):
    with home.scope():
        portfolio = make_portfolio(currency="NZD")

    created = home.send(
        "POST",
        "/assets",
        {"portfolio_id": portfolio.id, "name": "It", "kind": kind, **({"side": side} if side else {})},
    )

    assert created == {
        "id": created["id"],
        "portfolio_id": str(portfolio.id),
        "name": "It",
        "kind": kind,
        "side": shown,
        "currency": "NZD",
        "institution": "",
        "is_manual": True,
        "value": None,
        "value_on": None,
        "closed_on": None,
    }
    assert home.get(f"/assets/{created['id']}") == created


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"kind": "castle"}, (422, "malformed_request", {"kind"})),
        ({"side": "both"}, (422, "malformed_request", {"side"})),
        ({"portfolio_id": "x"}, (422, "malformed_request", {"portfolio_id"})),
        ({"portfolio_id": NOWHERE}, (404, "not_found", set())),
        ({"institution": "x" * 121}, (422, "malformed_request", {"institution"})),
        ({"source": "plaid"}, (422, "malformed_request", {"source"})),
        ({"currency": "XXX"}, (422, "invalid_input", {"currency"})),
    ],
)
def test_bad_asset_is_refused(home, refused, body, refusal):
    with home.scope():
        portfolio = make_portfolio()

    assert refused("POST", "/assets", {"portfolio_id": portfolio.id, "name": "x", "kind": "other", **body}) == refusal


def test_value_holds_from_its_day_and_is_replaced(home):
    with home.scope():
        asset = make_asset(make_portfolio())
    path = f"/assets/{asset.id}"
    for on, value in [("2026-03-01", "100"), ("2026-02-01", "90.5"), ("2026-03-01", "110.25")]:
        answer = home.send("PUT", f"{path}/values", {"on": on, "value": value})
        assert (answer["on"], answer["source"], answer["currency"]) == (on, "manual", "AUD")

    listed = [(each["on"], each["value"]) for each in home.get(f"{path}/values")["items"]]
    assert listed == [("2026-03-01", "110.25"), ("2026-02-01", "90.50")]
    assert (home.get(path)["value"], home.get(path)["value_on"]) == ("110.25", "2026-03-01")


@pytest.mark.parametrize(
    ("written_as", "shown"),
    [
        (b"99999999999999.99", "99999999999999.99"),
        (b'"99999999999999.99"', "99999999999999.99"),
        (b"-0", "0.00"),
        (b"0.10", "0.10"),
        (b"12345678901234.07", "12345678901234.07"),
        (b"1e3", "1000.00"),
    ],
)
def test_number_is_read_exactly(home, written_as, shown):
    with home.scope():
        asset = make_asset(make_portfolio())

    answer = home.send("PUT", f"/assets/{asset.id}/values", b'{"on": "2026-03-01", "value": %b}' % written_as)

    assert answer["value"] == shown


def test_value_of_today_is_by_the_portfolios_calendar(home):
    with home.scope():
        east = make_asset(make_portfolio(time_zone="Pacific/Kiritimati"))
        west = make_asset(make_portfolio(time_zone="Pacific/Niue"))
    tomorrow_in_the_west = local_date(dt.datetime.now(dt.UTC), "Pacific/Kiritimati").isoformat()
    body = {"on": tomorrow_in_the_west, "value": "1"}

    assert home.send("PUT", f"/assets/{east.id}/values", body)["on"] == tomorrow_in_the_west
    assert home.refusal("PUT", f"/assets/{west.id}/values", body) == (422, "invalid_input", {"on"})


MALFORMED, INVALID = "malformed_request", "invalid_input"
BAD_VALUES = [
    ("asset", "AUD", {"value": "1.001"}, INVALID, "value"),
    ("asset", "JPY", {"value": "1.5"}, INVALID, "value"),
    ("asset", "KWD", {"value": "1.0005"}, INVALID, "value"),
    ("debt", "AUD", {"value": "0.01"}, INVALID, "value"),
    ("asset", "AUD", {"on": "9999-12-31"}, INVALID, "on"),
    ("asset", "AUD", {"on": "0001-01-01"}, INVALID, "on"),
    ("asset", "AUD", {"on": "1899-12-31"}, INVALID, "on"),
    ("asset", "AUD", {"on": "10000-01-01"}, MALFORMED, "on"),
    ("asset", "AUD", {"on": "0000-01-01"}, MALFORMED, "on"),
    ("asset", "AUD", {"on": "2026-02-29"}, MALFORMED, "on"),
    ("asset", "AUD", {"on": 1772323200}, MALFORMED, "on"),
    ("asset", "AUD", {"on": "1772323200"}, MALFORMED, "on"),
    ("asset", "AUD", {"on": None}, MALFORMED, "on"),
    ("asset", "AUD", {"value": "1.00001"}, MALFORMED, "value"),
    ("asset", "AUD", {"value": "NaN"}, MALFORMED, "value"),
    ("asset", "AUD", {"value": "-Infinity"}, MALFORMED, "value"),
    ("asset", "AUD", {"value": "1e400"}, MALFORMED, "value"),
    ("asset", "AUD", {"value": "1e-400"}, MALFORMED, "value"),
    ("asset", "AUD", {"value": "9" * 10_000}, MALFORMED, "value"),
    ("asset", "AUD", {"value": 10**15}, MALFORMED, "value"),
    ("asset", "AUD", {"value": True}, MALFORMED, "value"),
    ("asset", "AUD", {"value": ""}, MALFORMED, "value"),
    ("asset", "AUD", {"value": None}, MALFORMED, "value"),
    ("asset", "AUD", {"currency": "USD"}, MALFORMED, "currency"),
]


@pytest.mark.parametrize(
    ("side", "currency", "body", "code", "field"),
    BAD_VALUES,
    ids=[f"{row[0]} {row[1]} {row[2]}"[:60] for row in BAD_VALUES],
)
def test_bad_value_is_refused(home, refused, side, currency, body, code, field):  # a row of the table
    with home.scope():
        asset = make_asset(make_portfolio(), side=Side(side), currency=currency)

    refusal = refused("PUT", f"/assets/{asset.id}/values", {"on": "2026-03-01", "value": "0", **body})

    assert refusal == (422, code, {field})


def test_debt_is_zero_or_negative(home):
    with home.scope():
        debt = make_asset(make_portfolio(), kind=AssetKind.LOAN, side=Side.DEBT)

    assert home.send("PUT", f"/assets/{debt.id}/values", {"on": "2026-03-01", "value": "-0.01"})["value"] == "-0.01"
    assert home.send("PUT", f"/assets/{debt.id}/values", {"on": "2026-03-01", "value": "0"})["value"] == "0.00"


def test_bank_keeps_its_own_assets(home, refused):
    with home.scope():
        asset = Asset.objects.create(
            portfolio=make_portfolio(), name="x", kind="other", side="asset", currency="AUD", source="plaid",
            external_id="1", created_at=AT,
        )  # fmt: skip

    assert refused("PUT", f"/assets/{asset.id}/values", {"on": "2026-03-01", "value": "1"}) == (
        409,
        "not_manual",
        set(),
    )
    assert refused("POST", f"/assets/{asset.id}/close", {"on": "2026-03-01"}) == (409, "not_manual", set())
    assert refused("POST", f"/assets/{asset.id}/reopen", None) == (409, "not_manual", set())
    assert home.send("PATCH", f"/assets/{asset.id}", {"name": "Mine"})["name"] == "Mine"


def test_closed_asset_stays_as_it_was(home, refused):
    with home.scope():
        asset = make_asset(make_portfolio())
    path = f"/assets/{asset.id}"

    assert home.send("POST", f"{path}/close", {"on": "2026-03-01"})["closed_on"] == "2026-03-01"
    assert refused("POST", f"{path}/close", {"on": "2026-03-02"}) == (409, "asset_closed", set())
    assert refused("PUT", f"{path}/values", {"on": "2026-03-01", "value": "1"}) == (409, "asset_closed", set())


def test_reopened_asset_counts_as_if_it_never_was_closed(home, refused, run_jobs):
    with home.scope():
        portfolio = make_portfolio()
        asset = make_asset(portfolio)
        set_value(asset, "100", on=dt.date(2026, 2, 1))
    path = f"/assets/{asset.id}"

    def worth():
        run_jobs()
        found = home.get(f"/portfolios/{portfolio.id}/history", from_="2026-02-28", to="2026-03-02")
        return [each["assets"] for each in found["days"]]

    assert refused("POST", f"{path}/reopen", None) == (409, "asset_open", set())
    home.send("POST", f"{path}/close", {"on": "2026-03-01"})
    assert worth() == ["100.00", "0.00", "0.00"]

    assert home.send("POST", f"{path}/reopen")["closed_on"] is None

    assert worth() == ["100.00", "100.00", "100.00"]
    assert refused("POST", f"{path}/reopen", None) == (409, "asset_open", set())


@pytest.mark.parametrize(
    ("body", "code"), [({}, MALFORMED), ({"on": "9999-12-31"}, INVALID), ({"on": "0001-01-01"}, INVALID)]
)
def test_asset_is_not_closed_on_a_bad_day(home, refused, body, code):
    with home.scope():
        asset = make_asset(make_portfolio())

    assert refused("POST", f"/assets/{asset.id}/close", body) == (422, code, {"on"})


def test_note_is_kept_with_the_transaction(home, refused):
    with home.scope():
        path = f"/transactions/{make_transaction(make_asset(make_portfolio())).id}"

    noted = home.send("PATCH", path, {"note": "🎂 für Oma \\u0000"})

    assert noted["note"] == "🎂 für Oma \\u0000"
    assert home.get("/transactions")["items"] == [noted]
    assert home.send("PATCH", path, {"note": ""})["note"] == ""
    assert refused("PATCH", path, {"note": "x" * 501}) == (422, "malformed_request", {"note"})
    assert refused("PATCH", path, {"note": "x", "amount": "1.00"}) == (422, "malformed_request", {"amount"})


def test_audit_names_who_did_it(home):
    created = home.send("POST", "/portfolios", {"name": "Ours"})

    with home.scope():
        event = AuditEvent.objects.get(subject="portfolio")
        keys_owner = AuditEvent.objects.get(subject="api_key").actor_id
    assert (event.action, str(event.subject_id), event.details) == ("create", created["id"], {"name": "Ours"})
    assert str(event.actor_id) == home.get("/me")["user_id"]
    assert keys_owner is None


def test_me_is_the_member_with_the_keys_role(home):
    me = home.get("/me")

    assert me == {
        "user_id": me["user_id"],
        "email": me["email"],
        "name": "",
        "role": "owner",
        "tenant": {
            "id": str(home.tenant.id),
            "name": home.tenant.name,
            "slug": home.tenant.slug,
            "home_currency": "AUD",
            "time_zone": "Australia/Sydney",
            "country": "AU",
        },
    }
    assert home.get("/tenant") == me["tenant"]

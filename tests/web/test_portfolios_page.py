"""The pages of the portfolios, without a browser."""

import datetime as dt
import re
from contextlib import ExitStack

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from services.core.models import Portfolio
from tenants.isolation import operator, tenant
from tenants.models import Membership
from tenants.permissions import Role
from tests.factories import AT, make_asset, make_portfolio, make_tenant, set_value

GOOD = {"name": "Second", "currency": "usd", "time_zone": "America/New_York"}


def portfolios_of(home):
    with tenant(home.id):
        return sorted(Portfolio.objects.values_list("name", "currency", "time_zone"))


def errors_in(response):
    """Return the words beside each field, by the field's name; each field that has some says so to screen readers."""
    page = response.content.decode()
    found = dict(re.findall(r'id="id_(\w+)_error">.*?<span>(.*?) </span>', page, re.DOTALL))
    for name in found:
        tag = re.search(rf'<(?:input|select)[^>]*\bid="id_{name}"[^>]*>', page)[0]
        assert 'aria-invalid="true"' in tag
        assert re.search(rf'aria-describedby="[^"]*\bid_{name}_error\b', tag)
    return found


def query_count(client, path):
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
        assert client.get(path).status_code == 200
    return sum(len(each) for each in captured)


def become(home, role):
    with operator():
        Membership.objects.filter(tenant=home).update(role=role)


def test_new_portfolio_is_created_and_shown(home, client):
    assert client.get("/assets/new").headers["Location"] == "/portfolios/new"
    form = client.get("/portfolios/new").content.decode()
    assert 'value="AUD"' in form
    assert 'value="Australia/Sydney"' in form

    response = client.post("/portfolios/new", GOOD)

    assert (response.status_code, response.headers["Location"]) == (303, "/portfolios")
    assert portfolios_of(home) == [("Second", "USD", "America/New_York")]
    page = client.get("/portfolios").content.decode()
    assert "Portfolio created" in page
    assert '<span class="cut">Second</span>' in page
    assert "Portfolio created" not in client.get("/portfolios").content.decode()


CURRENCY = "Enter the three letters of a currency, such as AUD or USD."
ZONE = "Enter a time zone, such as Australia/Sydney."
REFUSED = [
    # what is typed instead, field, words
    ({"name": ""}, "name", "Enter a name."),
    ({"name": "n" * 81}, "name", "A name has at most 80 characters; this one has 81."),
    ({"name": "FIRST"}, "name", "Another portfolio has this name."),
    ({"currency": "XYZ"}, "currency", CURRENCY),
    ({"currency": ""}, "currency", CURRENCY),
    ({"time_zone": "Sydney"}, "time_zone", ZONE),
    ({"time_zone": ""}, "time_zone", ZONE),
]


@pytest.mark.parametrize(("typed", "field", "words"), REFUSED)
def test_refusal_stands_beside_the_field_and_changes_nothing(home, client, typed, field, words):
    with tenant(home.id):
        make_portfolio(name="First")
        other = make_portfolio(name="Other")
    before = portfolios_of(home)
    route = f"/portfolios/{other.id}/{'rename' if field == 'name' else 'currency'}"

    for path in ("/portfolios/new", route):
        response = client.post(path, GOOD | typed)

        assert response.status_code == 422
        assert errors_in(response) == {field: words}
        if typed[field]:
            assert f'value="{typed[field]}"' in response.content.decode()
    assert portfolios_of(home) == before


def test_portfolio_is_renamed_and_reckoned_otherwise(home, client):
    with tenant(home.id):
        portfolio = make_portfolio(name="First")

    assert client.post(f"/portfolios/{portfolio.id}/rename", {"name": " Family "}).status_code == 303
    assert portfolios_of(home) == [("Family", "AUD", "Australia/Sydney")]

    changed = {"currency": "USD", "time_zone": "America/New_York", "name": "Sneaked in"}
    assert client.post(f"/portfolios/{portfolio.id}/currency", changed).status_code == 303
    assert portfolios_of(home) == [("Family", "USD", "America/New_York")]


def test_list_shows_what_each_is_worth(home, client, run_jobs):
    with tenant(home.id):
        first, second = make_portfolio(name="First"), make_portfolio(name="Second", currency="USD")
        Portfolio.objects.filter(id=second.id).update(created_at=AT + dt.timedelta(minutes=1))  # the first is shown
        set_value(make_asset(first), "1234.50")
    assert "no value yet" in client.get("/portfolios").content.decode()

    run_jobs()

    page = client.get("/portfolios").content.decode()
    assert '<span class="num">$1,234<span class="cents">.50</span></span>' in page
    assert "USD · Australia/Sydney" in page


WRITES = ["/portfolios/new", "/portfolios/{}/rename", "/portfolios/{}/currency"]


@pytest.mark.parametrize("path", WRITES)
def test_viewer_reads_only(home, client, path):
    with tenant(home.id):
        portfolio = make_portfolio(name="First")
    before = portfolios_of(home)
    become(home, Role.VIEWER)

    url = path.format(portfolio.id)
    assert [client.get(url).status_code, client.post(url, GOOD).status_code] == [403, 403]
    assert url not in client.get("/portfolios").content.decode()
    assert portfolios_of(home) == before


@pytest.mark.parametrize("path", WRITES[1:])
def test_portfolio_of_another_tenant_is_nowhere(client, path):
    other = make_tenant()
    with tenant(other.id):
        url = path.format(make_portfolio(name="Strange").id)
    before = portfolios_of(other)

    assert [client.get(url).status_code, client.post(url, GOOD).status_code] == [404, 404]
    assert portfolios_of(other) == before


def test_more_portfolios_take_no_more_queries(home, client):
    counts = []
    for added in (1, 2):
        with tenant(home.id):
            for _ in range(added):
                make_portfolio()
        counts.append(query_count(client, "/portfolios"))

    assert counts[0] == counts[1]

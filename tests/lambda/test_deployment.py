"""What a deployment makes of an empty account: pages, the API, the console, and the tables behind them."""

import re

import pytest
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from tests.deployed import names_unanswered


def test_migrations_ran_as_the_owner(deployed, database):
    loader = MigrationLoader(connections["owner"])

    assert set(loader.applied_migrations) == set(loader.graph.nodes)
    assert "function fatfire-migrate: version 2 serves" in deployed.said


@pytest.mark.parametrize(
    ("stage", "path", "status", "content"),
    [
        ("web", "/readyz", 200, "ok"),
        ("web", "/sign-in", 200, "<h1"),
        ("web", "/", 302, ""),
        ("web", "/admin/", 404, "<h1"),  # this function isn't the operators'
        ("web", "/api/v1/portfolios", 401, "Unauthorized"),  # by the gateway
        ("console", "/readyz", 200, "ok"),
        ("console", "/admin/", 302, ""),
    ],
)
def test_a_page_is_answered_through_the_gateway(deployed, stage, path, status, content):
    with deployed.http(stage) as browser:
        answer = browser.get(path)

    assert answer.status_code == status
    assert content in answer.text + answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/docs"])
def test_what_a_page_names_is_there(path, deployed):
    with deployed.http() as browser:
        assert names_unanswered(browser, browser.get(path).text) == []


def test_static_files_are_named_by_their_content_and_kept(deployed):
    with deployed.http() as browser:
        page = browser.get("/sign-in").text
        sheet = re.search(r'href="(/static/fatfire/app\.[0-9a-f]{12}\.css)"', page)[1]
        answer = browser.get(sheet, headers={"Accept-Encoding": "gzip"})

    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "max-age=315360000, public, immutable"

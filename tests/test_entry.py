"""The entry of the functions that serve pages: its own events, and none of the doors that Zappa's handler has."""

import json
import logging

import pytest
from django.db import connection

from fatfire.entry import UnknownEvent, lambda_handler

REQUEST = {
    "version": "2.0",
    "rawPath": "/livez",
    "rawQueryString": "",
    "headers": {"host": "localhost"},
    "requestContext": {"stage": "web", "http": {"method": "GET", "path": "/livez"}},
    "isBase64Encoded": False,
}
DOORS = [
    {"command": "os.getcwd"},
    {"raw_command": "raise SystemExit"},
    {"manage": "flush --no-input"},
    {"detail-type": "Scheduled Event", "resources": ["arn:aws:events:::rule/x-os.getcwd"], "source": "aws.events"},
    {"Records": [{"s3": {"configurationId": "x:os.getcwd"}}]},
    {"Records": [{"Sns": {"Message": json.dumps({"command": "os.getcwd"})}}]},
    {"bot": "intent"},
    {"type": "TOKEN", "methodArn": "arn"},
    {"triggerSource": "PreSignUp_SignUp"},
    {"awslogs": {"data": ""}},
    {"httpMethod": "GET", "path": "/livez", "headers": {}},
    {"version": "2.0", "command": "os.getcwd"},
    {},
]


@pytest.fixture(autouse=True)
def _zappa_settings(tmp_path, monkeypatch):
    """Put what Zappa writes into the package where Python finds it."""
    from infra.zappa import settings_module

    (tmp_path / "zappa_settings.py").write_text(settings_module("web"))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("event", DOORS, ids=lambda event: ",".join(event) or "nothing")
@pytest.mark.usefixtures("database")
def test_an_event_that_is_none_of_ours_is_refused(event):
    with pytest.raises(UnknownEvent):
        lambda_handler(event, None)


@pytest.fixture
def answer(database):
    """Return what the function answers to a request."""

    def ask(path, method="GET", **event):
        about = {"stage": "web", "http": {"method": method, "path": path}}
        return lambda_handler({**REQUEST, "rawPath": path, "requestContext": about, **event}, None)

    return ask


KEY = "ff_" + "x" * 43
QUESTIONS = {
    "authorizer": (
        {"type": "REQUEST", "routeArn": "arn", "headers": {"x-api-key": KEY}, "identitySource": [KEY]},
        {"isAuthorized": False},
    ),
    "websocket": ({"requestContext": {"eventType": "DISCONNECT", "connectionId": "c1"}}, {"statusCode": 200}),
}


@pytest.mark.parametrize(("event", "said"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_connection_that_was_lost_while_the_function_was_frozen_is_made_anew(database, admin, event, said):
    assert lambda_handler(event, None) == said
    admin.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])

    assert lambda_handler(event, None) == said


def test_a_request_is_answered(answer):
    said = answer("/livez")

    assert (said["statusCode"], said["body"], said["isBase64Encoded"]) == (200, "ok", False)


def test_an_answer_without_a_body_has_an_empty_one(answer):
    said = answer("/")

    assert (said["statusCode"], said["body"]) == (302, "")


def test_each_cookie_is_set_once(answer):
    cookies = answer("/sign-in")["cookies"]

    assert [cookie.partition("=")[0] for cookie in cookies] == ["csrftoken"]


def test_an_event_sets_no_variable_of_the_environment(answer, monkeypatch):
    monkeypatch.delenv("PLANTED", raising=False)

    answer("/livez", stageVariables={"PLANTED": "by the event"})

    import os

    assert "PLANTED" not in os.environ


def test_paths_are_not_logged(answer, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("zappa").setLevel(logging.WARNING)

    answer("/sign-in/a-secret")

    assert "a-secret" not in caplog.text

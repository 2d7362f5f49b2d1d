"""What is checked in about the deployment: stages, environments, and no secret."""

import json
import re

import pytest
from django.urls import get_resolver

from infra import zappa
from infra.queues import VISIBILITY_TIMEOUTS
from infra.system import BASE_DIR, ENVIRONMENTS, PAGES, STAGES, InvalidDescription, System
from services.jobs.jobs import JobKind, Queue
from workers import tasks  # noqa: F401  # registers every kind of job

WRITTEN = json.loads(zappa.SETTINGS.read_text())
SECRET = re.compile(r"secret|password|token|key|_url\b|postgres|@", re.IGNORECASE)
PRODUCTION = (ENVIRONMENTS / "production.toml").read_text()


def test_stages_are_those_that_are_deployed():
    assert set(WRITTEN) == {"base", *STAGES}


def test_zappa_settings_have_no_secret_and_no_variable():
    text = zappa.SETTINGS.read_text()

    assert SECRET.findall(text) == []
    assert "environment_variables" not in text


def test_environments_have_no_secret():
    for path in ENVIRONMENTS.glob("*.toml"):
        system = System.load(path.stem)
        named = set(system.settings)
        secrets = set(re.findall(r"^\| `(\w+)` \| \*\*secret\*\*", (BASE_DIR / "docs/settings.md").read_text(), re.M))
        assert len(secrets) > 5
        assert named & secrets == set()


def test_no_stage_is_named_like_the_first_part_of_a_path():
    first_parts = {str(each.pattern).strip("^/").partition("/")[0] for each in get_resolver().url_patterns}
    pages = {
        str(page.pattern).partition("/")[0]
        for each in get_resolver().url_patterns
        for page in getattr(each, "url_patterns", ())
        if not str(each.pattern)
    }

    assert {"api", "portfolios", "admin"} <= first_parts | pages
    assert (first_parts | pages | {"static"}) & {*PAGES} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_zappa_gives_no_right_and_calls_nobody(stage):
    settings = zappa.stage_settings(stage)

    assert [settings[name] for name in ("manage_roles", "keep_warm", "touch", "debug")] == [False] * 4


def test_a_function_has_the_time_that_its_jobs_may_take():
    for stage in ("jobs", "media"):
        assert zappa.stage_settings(stage)["timeout_seconds"] >= max(kind.time_limit_s for kind in JobKind.all())


def test_a_message_stays_hidden_for_six_timeouts():
    assert VISIBILITY_TIMEOUTS >= 6


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('environment = "production"', 'environment = "Production!"', "environment"),
        ('account = "123456789012"', 'account = "12"', "account"),
        ("https://app.example.com", "http://app.example.com", "site_url"),
        ("https://app.example.com", "http://app.example.com:8000", "site_url"),
        ("https://app.example.com", "https://app.example.com:8000", "site_url"),
        ("https://console.example.com", "https://app.example.com", "the console needs a host of its own"),
        ("web = 20", "wep = 20", "wep"),
        ("web = 20\n", "", "concurrency says nothing of web"),
        ("default = 4\n", "", "queues says nothing of, or has no use for, default"),
        ("default = 4\n", "default = 4\nmedia = 2\n", "queues says nothing of, or has no use for, media"),
        ("default = 4", "default = 1", "greater than or equal to 2"),
        ("connections = 225", "connections = 0", "connections"),
        ("[settings]", "[setting]", "setting"),
        ("[database]", "[database", "]"),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path, before, after, says):
    assert before in PRODUCTION
    path = tmp_path / "other.toml"
    path.write_text(PRODUCTION.replace(before, after))

    with pytest.raises(InvalidDescription, match=re.escape(says)):
        System.load(str(path))


def test_a_missing_description_is_named():
    with pytest.raises(InvalidDescription, match="there is no environment 'nowhere'"):
        System.load("nowhere")


def test_every_queue_is_described():
    assert set(System.load("production").queues) == {*Queue} - {Queue.MEDIA}  # each of whose messages is an invocation


def test_each_function_knows_both_hosts_and_answers_to_its_own():
    system = System.load("production")
    variables = {stage: system.variables(stage) for stage in STAGES}

    site, console = "https://app.example.com", "https://console.example.com"
    assert {(each["SITE_URL"], each["CONSOLE_URL"]) for each in variables.values()} == {(site, console)}
    hosts = {stage: json.loads(each["ALLOWED_HOSTS"]) for stage, each in variables.items() if stage in PAGES}
    assert hosts == {"web": ["app.example.com"], "console": ["console.example.com"]}

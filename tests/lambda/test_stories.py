"""What people and jobs do, on what is deployed: through the gateway, the queues, the functions, into the database."""

import contextlib
import json
import re
from decimal import Decimal
from email import message_from_bytes, policy
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fatfire import demo
from fatfire.kit import aws, clock, sqs
from infra.emulator import ROOT
from infra.system import ALIAS, function
from services.core.jobs import REVALUE_PORTFOLIO
from services.history.models import PortfolioDay
from services.integration.jobs import SYNC_LINK
from services.integration.sandbox import app as simulator
from services.jobs.jobs import Queue
from services.jobs.models import Job, JobStep, State
from services.messaging.models import Listener
from tenants.isolation import operator, tenant
from tenants.models import User
from tests.deployed import names_unanswered, wait_for
from tests.factories import make_asset, make_portfolio, make_tenant, set_value

WIDE = 100


@pytest.fixture(autouse=True)
def _one_of_them(settings, monkeypatch, deployed, database):
    """Let this process use the bank, the queues and the keys that the functions use."""
    settings.PLAID_URL, settings.PLAID_CLIENT_ID = deployed.bank.url, simulator.CLIENT_ID
    settings.PLAID_SECRET = SecretStr(simulator.SECRET)
    settings.ENVIRONMENT = deployed.here.system.environment
    settings.KMS_KEY_ID = deployed.here.system.key_alias
    settings.QUEUE_BROKERS = dict.fromkeys(Queue, "sqs://")
    for name, value in {**ROOT, "AWS_ENDPOINT_URL": deployed.here.endpoint}.items():
        monkeypatch.setenv(name, value)
    aws.forget()
    yield
    for service in ("sqs", "lambda", "kms"):
        aws.client(service).close()
    aws.forget()


def unended(owner) -> list[tuple[str, str]]:
    """Return the tenant's jobs that aren't done, with their states."""
    with tenant(owner.id):
        return list(Job.objects.exclude(state=State.SUCCEEDED).values_list("kind", "state"))


def post(browser, path, **fields):
    """Send the form of the page at `path`, as the page has it."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(path).text)[1]
    return browser.post(path, data={"csrfmiddlewaretoken": token, **fields})


@contextlib.contextmanager
def signed_in(deployed, stage, path):
    """Sign in with the link of that path."""
    with deployed.http(stage) as browser:
        browser.headers["Origin"] = deployed.here.system.url(stage)
        answer = post(browser, path)
        assert answer.status_code == 302, answer.text
        yield browser


def mailed_link(deployed, stage, email):
    """Ask for a link on the stage's host; return the one in the mail that a job sends."""
    with deployed.http(stage) as browser:
        browser.headers["Origin"] = deployed.here.system.url(stage)
        assert post(browser, "/sign-in", email=email).status_code == 200

    def mails():
        sent = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in deployed.mail.glob("*.eml")]
        return [each.get_body(("plain",)).get_content() for each in sent if each["To"] == email]

    return re.search(r"^https?://\S+/sign-in/\S+$", wait_for(mails)[0], re.MULTILINE)[0]


def test_a_person_signs_in_by_a_mail_that_a_job_sends(deployed):
    make_tenant(slug="by-mail")
    link = mailed_link(deployed, "web", "owner@by-mail.example")
    port = urlsplit(deployed.here.endpoint).port  # who reads the mail on this machine may click it

    with signed_in(deployed, "web", link.removeprefix(deployed.here.system.site_url)) as browser:
        page = browser.get("/portfolios").text

    assert link.startswith(f"http://fatfire.localhost:{port}/sign-in/")
    assert "By-Mail" in page


def test_an_operators_mail_leads_to_the_consoles_host(deployed):
    with operator():
        User.objects.create(email="grace@fatfire.example", is_operator=True, created_at=clock.now())
    link = mailed_link(deployed, "web", "grace@fatfire.example")

    with signed_in(deployed, "console", link.removeprefix(deployed.here.system.console_url)) as browser:
        page = browser.get("/admin/").text

    assert link.startswith("http://console.fatfire.localhost:")
    assert "Operator console" in page


def test_a_bank_is_read_through_a_queue_and_again_when_it_fails(deployed):
    owner = demo.seed(demo.HOUSEHOLDS[1], at=clock.now())
    key = demo.make_key(owner, at=clock.now())
    with deployed.http() as program:
        program.headers["X-API-Key"] = key
        link = program.get("/api/v1/links").json()["items"][0]["id"]
        wait_for(lambda: not unended(owner), patience_s=60)
        deployed.bank.store.fail_next("/transactions/sync", "INSTITUTION_DOWN")
        asked = program.post(f"/api/v1/links/{link}/refresh")
        wait_for(lambda: not unended(owner), patience_s=60)
        portfolio = program.get("/api/v1/portfolios").json()["items"][0]["id"]
        worth = program.get(f"/api/v1/portfolios/{portfolio}/net-worth").json()

    assert asked.status_code == 202
    with tenant(owner.id):
        again = JobStep.objects.filter(job__kind=SYNC_LINK.name, attempts=2)
        assert [step.state for step in again] == [State.SUCCEEDED]
    assert unended(owner) == []
    with tenant(owner.id):
        assert Job.objects.filter(kind=SYNC_LINK.name, state=State.SUCCEEDED).exists()
        newest = PortfolioDay.objects.order_by("-day").first()
    assert Decimal(worth["end"]["net_worth"]) == newest.assets + newest.debts


def test_a_message_that_is_none_goes_to_the_dead_letters_and_the_console_deletes_it(deployed):
    body = f"no message of ours {uuid4()}"
    client, name = deployed.client("sqs"), deployed.here.system.queue(Queue.DEFAULT)
    client.send_message(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)
    dead = client.get_queue_url(QueueName=name + sqs.DEAD)["QueueUrl"]

    def waiting() -> int:
        answer = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    assert wait_for(waiting) == 1
    with signed_in(deployed, "console", demo.make_operator_path(at=clock.now())) as browser:
        page = browser.get("/admin/dead-letters/").text
        action = re.search(r'href="(/admin/dead-letters/default/[^"]+/delete/)"', page)[1]
        deleted = post(browser, action)
        unanswered = [names_unanswered(browser, browser.get(path).text) for path in ("/admin/", "/admin/tenants/user/")]
    with deployed.http("console") as browser:
        browser.headers["Origin"] = deployed.here.system.console_url
        asked = post(browser, "/sign-in", email=demo.OPERATOR)

    assert "no Celery message: neither a JSON object nor base64 of one" in page
    assert deleted.status_code == 302
    assert unanswered == [[], []]
    assert waiting() == 0
    assert asked.status_code in (200, 302)


def test_the_schedule_fires_a_job(deployed):
    rule = deployed.here.system.name("history-roll-up-due")
    target = deployed.client("events").list_targets_by_rule(Rule=rule)["Targets"][0]

    answer, error = deployed.invoke("jobs", json.loads(target["Input"]))

    assert (answer, error) == ({"fired": "history.roll_up_due"}, None)
    assert target["Arn"] == deployed.here.system.function_arn("jobs", ALIAS)

    def done() -> bool:
        with operator():
            return Job.objects.filter(kind="history.roll_up_due", state=State.SUCCEEDED).exists()

    assert wait_for(done)


def test_an_open_page_is_told_of_its_job(deployed):
    owner = make_tenant()
    with tenant(owner.id):
        portfolio = make_portfolio()
    with signed_in(deployed, "web", demo.make_sign_in_path(owner, at=clock.now())) as browser:
        token = re.search(r'"X-CSRFToken": "(\w+)"', browser.get("/portfolios").text)[1]
        url = browser.post("/live", headers={"X-CSRFToken": token}).json()["url"]
    with connect(url) as page:
        with tenant(owner.id):
            set_value(make_asset(portfolio), "1.00")
            job = Job.objects.get(kind=REVALUE_PORTFOLIO.name)
        told = json.loads(page.recv(timeout=30))
    with pytest.raises(InvalidStatus):
        connect(url)

    assert told == {"job": str(job.id)}
    with tenant(owner.id):
        assert wait_for(lambda: not Listener.objects.exists())


def test_a_hundred_jobs_run_as_invocations_of_their_own(deployed, settings):
    settings.QUEUE_BROKERS = {Queue.HISTORY: f"lambda://{function('jobs')}:{ALIAS}"}
    owner = make_tenant()
    with tenant(owner.id):
        portfolios = [make_portfolio() for _ in range(WIDE)]
        for portfolio in portfolios:
            set_value(make_asset(portfolio), "1.00")

    wait_for(lambda: not unended(owner), patience_s=60)

    assert unended(owner) == []
    with tenant(owner.id):
        assert Job.objects.filter(kind=REVALUE_PORTFOLIO.name).count() == WIDE
        assert PortfolioDay.objects.values("portfolio_id").distinct().count() == WIDE


def test_a_portfolio_is_deleted_step_by_step(deployed):
    owner = make_tenant()
    with tenant(owner.id):
        set_value(make_asset(portfolio := make_portfolio()), "1.00")
    with deployed.http() as program:
        program.headers["X-API-Key"] = demo.make_key(owner, at=clock.now())
        asked = program.delete(f"/api/v1/portfolios/{portfolio.id}")
        wait_for(lambda: not unended(owner), patience_s=60)
        left = program.get("/api/v1/portfolios").json()["items"]

    assert asked.status_code == 202
    assert unended(owner) == []
    assert left == []
    with tenant(owner.id):
        assert not PortfolioDay.objects.exists()

"""A deployment changes what differs and nothing else; a version that doesn't work never serves; going back works."""

import re

import pytest

from infra.system import ALIAS, function
from services.jobs.jobs import Queue

READS = re.compile(r":(?:Get|List|Describe)|^apigateway:GET$")


@pytest.fixture
def serving(deployed):
    """Return which version of a stage serves."""

    def ask(stage: str) -> str:
        return deployed.client("lambda").get_alias(FunctionName=function(stage), Name="live")["FunctionVersion"]

    return ask


def _cookie_is_secure(deployed) -> bool:
    with deployed.http() as browser:
        return "; Secure" in browser.get("/sign-in").headers["set-cookie"]


def test_a_second_deployment_changes_nothing(deployed):
    before = len(deployed.calls())

    planned, done = deployed.here.manage("deploy", "all", "--plan"), deployed.here.manage("deploy", "all")

    assert (planned.stdout, done.stdout) == ("Nothing to change.\n", "Nothing to change.\n")
    calls = deployed.calls()[before:]
    assert len(calls) > 100
    assert [call for call in calls if "/deployer" in call["by"] and not READS.search(call["action"])] == []


def test_a_plan_changes_nothing_and_says_what_would_be(deployed, serving):
    before = serving("web")

    planned = deployed.here.described(LOG_LEVEL="WARNING").manage("deploy", "web", "--plan")

    assert re.search(r"^  function fatfire-web: Environment .*'LOG_LEVEL': 'WARNING'", planned.stdout, re.MULTILINE)
    assert planned.stdout.endswith("\n1 change to make.\n")
    assert serving("web") == before


def test_an_update_serves_and_a_rollback_goes_back(deployed, serving):
    before = serving("web")
    assert not _cookie_is_secure(deployed)

    updated = deployed.here.described(SECURE_COOKIES="true").manage("deploy", "web")

    assert updated.returncode == 0, updated.stderr
    assert int(serving("web")) > int(before)
    assert _cookie_is_secure(deployed)
    with deployed.http() as browser:  # the gateway still asks whose key it is
        assert browser.get("/api/v1/portfolios").json() == {"message": "Unauthorized"}

    back = deployed.here.manage("rollback", "web")

    assert back.returncode == 0, back.stderr
    assert back.stdout == f"  function fatfire-web: version {before} serves\n"
    assert serving("web") == before
    assert not _cookie_is_secure(deployed)


def test_what_somebody_changed_by_hand_is_put_right(deployed):
    system = deployed.here.system
    sqs, lambda_, logs, s3 = (deployed.client(service) for service in ("sqs", "lambda", "logs", "s3"))
    address = sqs.get_queue_url(QueueName=system.queue(Queue.HISTORY))["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=address, Attributes={"VisibilityTimeout": "30"})
    mapping = lambda_.list_event_source_mappings(
        FunctionName=system.function_arn("jobs", ALIAS), EventSourceArn=system.queue_arn(Queue.HISTORY)
    )["EventSourceMappings"][0]
    lambda_.update_event_source_mapping(UUID=mapping["UUID"], FunctionResponseTypes=[])
    logs.delete_retention_policy(logGroupName="/aws/lambda/fatfire-jobs")
    s3.delete_bucket_policy(Bucket=system.bucket("packages"))

    mended = deployed.here.manage("deploy", "jobs")

    assert mended.stdout.splitlines() == [
        f"  bucket {system.bucket('packages')}: over TLS only",
        "  log /aws/lambda/fatfire-jobs: keep for 30 days",
        "  queue fatfire-emulator-history: VisibilityTimeout 30 → 5400",
        "  trigger fatfire-emulator-history: FunctionResponseTypes [] → ['ReportBatchItemFailures']",
        "4 changes made.",
    ]
    assert deployed.here.manage("deploy", "jobs", "--plan").stdout == "Nothing to change.\n"


def test_a_version_that_does_not_work_never_serves(deployed, serving):
    before = serving("web")

    refused = deployed.here.described(API_REQUESTS_PER_MINUTE="0").manage("deploy", "web")

    assert refused.returncode == 1
    assert "api_requests_per_minute" in refused.stderr
    assert serving("web") == before
    with deployed.http() as browser:
        assert browser.get("/readyz").text == "ok"


def test_there_is_nothing_to_go_back_to_at_first(deployed):
    refused = deployed.here.manage("rollback", "console")

    assert refused.returncode == 1
    assert refused.stderr == "CommandError: fatfire-console has no version to go back to\n"


def test_another_account_is_refused(deployed):
    other = deployed.here.description.with_name("other.toml")
    other.write_text(deployed.here.description.read_text().replace('"000000000000"', '"111111111111"'))

    refused = deployed.here.manage("deploy", "all", "--environment", str(other))

    assert refused.returncode == 1
    assert refused.stderr == (
        "CommandError: these are credentials of account 000000000000; emulator is in 111111111111\n"
    )

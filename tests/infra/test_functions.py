"""What of a function's configuration counts as another than the described one."""

import json

import boto3
import pytest

from fatfire.kit.serving import Server
from infra.aws import Account
from infra.functions import Function
from infra.system import System

PRODUCTION = System.load("production")
NETWORK = {"subnets": ["subnet-b", "subnet-a"], "security_groups": ["sg-1"]}


class Aws:
    """Lambda with one function that serves, over HTTP; there is no API."""

    def __init__(self):
        self.serving = {}
        self.alias = {}

    def __call__(self, environ, start_response):
        concurrency = {"ReservedConcurrentExecutions": PRODUCTION.concurrency["jobs"]}
        if environ["REQUEST_METHOD"] == "PUT":
            self.alias = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        answers = {
            "configuration": self.serving,
            "concurrency": concurrency,
            "apis": {"items": []},
            "live": self.alias,
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answers[environ["PATH_INFO"].rpartition("/")[2]]).encode()]


@pytest.fixture
def aws():
    return Aws()


@pytest.fixture
def jobs(aws):
    """Return what gives the function of the jobs as it is described with some network."""
    with Server(aws, 0) as server:
        session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name=PRODUCTION.region)  # noqa: S106
        account = Account(session, endpoint=server.url)

        def described(network):
            system = System.model_validate({**PRODUCTION.model_dump(), "network": network})
            return Function(account, system, "jobs")

        yield described
        account.close()


@pytest.mark.parametrize(
    ("described", "serves", "differs"),
    [
        ({}, {}, False),
        ({}, {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}}, False),
        (NETWORK, {"VpcConfig": {"SubnetIds": ["subnet-a", "subnet-b"], "SecurityGroupIds": ["sg-1"]}}, False),
        (NETWORK, {}, True),
        ({}, {"VpcConfig": {"SubnetIds": ["subnet-a"], "SecurityGroupIds": ["sg-1"], "VpcId": "vpc-1"}}, True),
        ({}, {"EphemeralStorage": {"Size": 1024}}, True),
    ],
)
def test_network_and_disk_count(jobs, aws, described, serves, differs):
    function = jobs(described)
    as_described = {name: value for name, value in function._wanted().items() if name != "VpcConfig"}

    aws.serving = {"EphemeralStorage": {"Size": 512}, **as_described, **serves}

    assert [each.resource for each in function.changes()] == ["function fatfire-jobs"] * differs


def test_version_that_was_taken_back_is_never_gone_back_to(jobs, aws):
    function = jobs({})
    aws.alias = {"FunctionVersion": "6", "Description": "after version 5"}

    function.serve("7")
    assert (function.serving(), function.previous()) == ("7", "6")
    function.go_back("6", "5")

    assert (function.serving(), function.previous()) == ("6", "5")
    function.go_back("6", None)
    assert (function.serving(), function.previous()) == ("6", None)

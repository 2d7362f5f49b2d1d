"""Clients of AWS: one for each service in a process, and none that speaks while a transaction is open."""

import os

import pytest

from fatfire.kit import aws
from fatfire.kit.http import NetworkInTransaction
from tenants.isolation import tenant
from tests.factories import make_tenant
from tests.workers.invocations import recording_lambda


def invoke():
    aws.client("lambda").invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")


def test_nothing_is_asked_inside_a_transaction(database):
    owner = make_tenant().id
    with recording_lambda() as invocations:
        with tenant(owner), pytest.raises(NetworkInTransaction):
            invoke()
        assert invocations.asked == []

        invoke()
        assert invocations.asked == [("f", "Event", {})]


def test_client_is_kept_for_the_process_and_not_for_its_forks():
    with recording_lambda():
        first = aws.client("lambda")
        assert aws.client("lambda") is first
        assert aws.client("sqs") is not first

        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writing, b"other" if aws.client("lambda") is not first else b"same")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"other"
        os.close(reading)
        os.close(writing)

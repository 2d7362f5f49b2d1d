"""What `manage.py check` says of brokers."""

import pytest

from services.jobs.checks import broker_errors, check_brokers

NO_QUEUE, NO_BROKER = "jobs.E001", "jobs.E002"


@pytest.mark.parametrize(
    ("broker_url", "queue_brokers", "expected"),
    [
        ("memory://localhost/", {}, []),
        ("sqs://", {"history": "lambda://fatfire-jobs:live", "default": "memory://localhost/"}, []),
        ("sqs://", {"histroy": "sqs://"}, [NO_QUEUE]),
        ("redis://localhost/", {}, [NO_BROKER]),
        ("sqs", {}, [NO_BROKER]),
        ("", {}, [NO_BROKER]),
        ("sqs://", {"history": "lambda://"}, [NO_BROKER]),
        ("amqp://x", {"x": "y"}, [NO_QUEUE, NO_BROKER, NO_BROKER]),
    ],
)
def test_brokers_are_checked(broker_url, queue_brokers, expected):
    errors = broker_errors(broker_url=broker_url, queue_brokers=queue_brokers)

    assert [each.id for each in errors] == expected


def test_settings_are_what_is_checked(settings):
    settings.QUEUE_BROKERS = {"nowhere": "sqs://"}

    assert [each.id for each in check_brokers()] == [NO_QUEUE]

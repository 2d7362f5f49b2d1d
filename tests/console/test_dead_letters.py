"""The console's dead letters: what lies on SQS, said as it is; sent again or deleted once, and written down."""

import json
import re
from uuid import UUID

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry

from fatfire.kit import aws, clock, sqs
from services.jobs import dead_letters
from services.jobs import operations as jobs
from services.jobs.jobs import Queue
from services.jobs.models import JobStep, State
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent
from tests.services.jobs.kinds import SINGLE
from tests.workers.queues import aws_at
from workers.lambda_handler import lambda_handler

PAGE = "/admin/dead-letters/"


@pytest.fixture
def bury(queues, home):
    """Return what puts a real job's message, that no worker here could run, among the dead letters; it is sent away."""

    def do() -> UUID:
        with tenant(home.id):
            job_id = jobs.enqueue(kind=SINGLE, subject_id=None, at=clock.now()).id
        assert queues.pass_on(lambda_handler) == []  # nothing here runs that kind
        return job_id

    return do


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def only_letter():
    [letter] = [each for queue in dead_letters.list_dead_letters() for each in queue.letters]
    return letter


def log(ada):
    with operator():
        return list(
            LogEntry.objects.filter(user=ada).order_by("id").values_list("action_flag", "object_id", "change_message")
        )


def audit(home):
    with tenant(home.id):
        return list(AuditEvent.objects.values_list("action", "subject", "subject_id"))


def test_letter_is_listed_with_its_reason_and_its_job(client, home, bury, queues):
    job_id = bury()

    answers = [client.get(PAGE) for _ in range(2)]  # the first hides nothing from the second

    for answer in answers:
        row = f"unknown kind of job: &#x27;test.single&#x27; test.single {job_id} {home.id} Send again Delete"
        assert row in text_of(answer)
        assert f'href="/admin/jobs/job/{job_id}/change/"' in answer.content.decode()
    assert queues.count(dead=True) == 1


def test_letter_that_sqs_moved_says_what_is_known(client, queues):
    queues.put("not Celery's", Queue.HISTORY, dead=True)

    text = text_of(client.get(PAGE))

    assert "No worker came to an end with it in 5 deliveries; the workers&#x27; log says why. — — — Delete" in text
    assert "Send again" not in text


def test_letter_is_sent_again_once_and_gone(client, home, ada, bury, queues):
    job_id = bury()
    path = f"{PAGE}default/{only_letter().id}/send/"

    asked = client.get(path)
    assert "Send this message again to the queue default?" in text_of(asked)
    assert (queues.count(), queues.count(dead=True)) == (0, 1)
    letter_id = only_letter().id
    assert client.post(path).headers["Location"] == PAGE

    assert (queues.count(), queues.count(dead=True)) == (1, 0)
    [record] = queues.take()
    assert "messageAttributes" in record
    assert log(ada) == [(CHANGE, letter_id, "Send again: default.")]
    assert audit(home) == [("send_again", "job", job_id)]
    again = client.post(path)
    assert again.status_code == 409
    assert "Nothing was changed" in text_of(again)


def test_letter_is_deleted_and_its_job_stays(client, home, ada, bury, queues):
    job_id = bury()
    letter_id = only_letter().id

    assert client.post(f"{PAGE}default/{letter_id}/delete/").headers["Location"] == PAGE

    assert (queues.count(), queues.count(dead=True)) == (0, 0)
    assert log(ada) == [(DELETION, letter_id, "Delete: default.")]
    with tenant(home.id):
        assert JobStep.objects.get(job_id=job_id).state == State.QUEUED
    assert "Done: delete." in text_of(client.get(PAGE))


def test_invocation_that_failed_is_read_and_invoked_again(client, home, queues, settings):
    """Lambda puts the event of an invocation that failed three times among the dead letters, and says why."""
    with tenant(home.id):
        job_id = jobs.enqueue(kind=SINGLE, at=clock.now()).id
    [record] = queues.take()
    queues.delete(record)
    event = json.dumps({"celery": {"queue": "default", "message": sqs.envelope_of(record["body"])}})
    reason = {"ErrorMessage": {"DataType": "String", "StringValue": "Task timed out"}}
    aws.client("sqs").send_message(QueueUrl=queues.url(dead=True), MessageBody=event, MessageAttributes=reason)

    letter = only_letter()
    assert (letter.reason, letter.kind, letter.job_id, letter.tenant_id) == (
        "Task timed out", "test.single", job_id, home.id,
    )  # fmt: skip
    client.post(f"{PAGE}default/{letter.id}/send/")
    assert (queues.count(), queues.count(dead=True)) == (1, 0)


@pytest.mark.parametrize(
    "path", ["nowhere/1/send/", "default/1/burn/", "default//send/"], ids=["queue", "action", "none"]
)
def test_unknown_letter_is_not_found(client, queues, path):
    assert client.get(PAGE + path).status_code == 404
    assert client.post(PAGE + path).status_code == 404


def test_letter_that_is_gone_is_said_to_be(client, queues):
    answer = client.post(f"{PAGE}default/123/delete/")

    assert answer.status_code == 409
    assert "It isn&#x27;t there any more" in text_of(answer)


def test_empty_queues_are_said_to_be(client, queues):
    assert text_of(client.get(PAGE)).count("None.") == len(Queue)


def test_queues_that_do_not_answer_are_named(client, queues):
    with aws_at("http://127.0.0.1:1"):
        text = text_of(client.get(PAGE))
        answer = client.post(f"{PAGE}default/123/delete/")

    assert text.count("SQS doesn't show this queue: EndpointConnectionError.") == len(Queue)
    assert answer.status_code == 409
    assert "SQS doesn&#x27;t answer as it should" in text_of(answer)


def test_queue_that_is_not_there_is_named(client, queues, settings):
    settings.ENVIRONMENT = "another"

    assert "SQS doesn't show this queue: AWS.SimpleQueueService.NonExistentQueue." in text_of(client.get(PAGE))


def test_installation_without_queues_has_none(client, settings):
    settings.QUEUE_BROKERS = {}

    assert "this installation keeps its messages in memory" in text_of(client.get(PAGE))
    assert client.get(f"{PAGE}default/1/send/").status_code == 404


def test_more_than_one_batch_is_listed(client, queues):
    for number in range(25):
        queues.put(str(number), dead=True)

    assert text_of(client.get(PAGE)).count(" Delete ") == 25

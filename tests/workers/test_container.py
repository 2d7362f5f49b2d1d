"""A queue moved out of Lambda: `celery worker`, as the Dockerfile runs it, on the same queue of SQS."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from services.core.jobs import REVALUE_PORTFOLIO
from services.jobs.jobs import Queue
from services.jobs.models import Job, JobStep, State
from tenants.isolation import tenant
from tests.factories import make_asset, make_portfolio, make_tenant, set_value

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEADLINE_S = 60
QUEUE = Queue.HISTORY


@contextlib.contextmanager
def running_worker(environment, log, *arguments):
    """Run the container's program, with what its environment would hold."""
    program, *given = json.loads(re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)[1])
    variables = dict(re.findall(r"(\w+)=(\S+)", re.search(r"^ENV (.+)$", DOCKERFILE, re.MULTILINE)[1]))
    command = [str(Path(sys.executable).with_name(program)), *given, *arguments]
    environment = {**os.environ, **variables, "BROKER_URL": "sqs://", **environment}
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def wait_until(true, log):
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def household():
    owner = make_tenant().id
    with tenant(owner):
        set_value(make_asset(make_portfolio()), "1.00")
        job = Job.objects.get(kind=REVALUE_PORTFOLIO.name)
    return owner, job.id


def state_of(owner, job_id):
    with tenant(owner):
        return Job.objects.get(id=job_id).state


def test_worker_in_a_container_takes_the_same_queue(queues, database, tmp_path):
    """The poison beside the job stays on the queue until SQS moves it: nothing is deleted that nobody could run."""
    log = tmp_path / "log"
    owner, job_id = household()
    queues.put("not Celery's", QUEUE)

    with running_worker({"ENVIRONMENT": queues.environment}, log, "-Q", QUEUE, "--concurrency", "1") as worker:
        wait_until(lambda: state_of(owner, job_id) == State.SUCCEEDED, log)
        wait_until(lambda: queues.count(QUEUE) == 1, log)

    assert worker.returncode == 0
    with tenant(owner):
        assert JobStep.objects.get(job_id=job_id).attempts == 1


def test_image_is_made_of_what_is_there_and_runs_as_nobody():
    version = (ROOT / ".python-version").read_text().strip()
    copied = re.findall(r"^COPY (\S+)", DOCKERFILE, re.MULTILINE)

    assert f"FROM python:{version}-slim\n" in DOCKERFILE
    assert [each for each in copied if not (ROOT / each.replace("${REQUIREMENTS}", "base")).exists()] == []
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.index("USER worker") < DOCKERFILE.index("ENTRYPOINT")
    assert DOCKERFILE.count("USER ") == 1

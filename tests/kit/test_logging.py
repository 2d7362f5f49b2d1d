"""Log lines: one JSON object each, with what is bound, and without what nobody should read."""

import io
import json
import logging

import pytest
import structlog

from fatfire.kit.logging import json_formatter


@pytest.fixture
def lines():
    """Return a function that gives the lines logged so far, parsed; each must be one JSON object."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(json_formatter())
    root, level = logging.getLogger(), logging.getLogger().level
    others = root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = others
    root.setLevel(level)


def test_line_is_an_object_with_what_is_bound(lines):
    with structlog.contextvars.bound_contextvars(request_id="r1", tenant_id="t1"):
        structlog.get_logger("services.core").info("asset_created", kind="share", count=2)
    structlog.get_logger("services.core").warning("alone")

    first, second = lines()
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "asset_created",
        "kind": "share",
        "count": 2,
        "level": "info",
        "logger": "services.core",
        "request_id": "r1",
        "tenant_id": "t1",
    }
    assert second.keys() == {"event", "level", "logger", "timestamp"}


def test_line_of_a_library_is_the_same(lines):
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("celery.worker").warning("lost %s of %d", "one", 2)

    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "lost one of 2", "level": "warning", "logger": "celery.worker", "request_id": "r1"}


def test_line_stays_one_line(lines):
    structlog.get_logger().info("two\nlines", note='quote " and \u2028 and \x00', thing=object)

    (line,) = lines()
    assert line["event"] == "two\nlines"
    assert line["note"] == 'quote " and \u2028 and \x00'


def test_below_the_level_nothing_is_written(lines):
    structlog.get_logger("x").debug("nothing")

    assert lines() == []


def fail(access_token):
    """Fail with a secret among the local variables."""
    copied = {"token": access_token}
    return copied["missing"]


@pytest.mark.parametrize("get_logger", [structlog.get_logger, logging.getLogger], ids=["ours", "a library's"])
def test_exception_comes_with_its_traceback_and_no_local_variables(get_logger, lines):
    try:
        fail("access-" + "sandbox-secret")
    except KeyError:
        get_logger("workers.runner").exception("job_failed")

    (line,) = lines()
    (stack,) = line["exception"]
    assert (line["event"], line["level"], stack["exc_type"], stack["exc_value"]) == (
        "job_failed",
        "error",
        "KeyError",
        "'missing'",
    )
    assert [frame["name"] for frame in stack["frames"]][-1] == "fail"
    assert "sandbox-secret" not in json.dumps(line)

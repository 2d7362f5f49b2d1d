"""The schedule as data: what EventBridge is told of each entry."""

import datetime as dt

import pytest

from services.history.jobs import ROLL_UP_DUE
from workers.schedule import SCHEDULE, SWEEP, Entry, entry_named


@pytest.mark.parametrize(
    ("every", "expression"),
    [
        (dt.timedelta(seconds=2), "rate(1 minute)"),  # EventBridge's shortest
        (dt.timedelta(minutes=1), "rate(1 minute)"),
        (dt.timedelta(minutes=15), "rate(15 minutes)"),
        (dt.timedelta(hours=1), "rate(60 minutes)"),
        (dt.timedelta(days=1), "rate(1440 minutes)"),
    ],
)
def test_interval_is_said_as_eventbridge_knows_it(every, expression):
    assert Entry(every, ROLL_UP_DUE).expression == expression


def test_entries_are_found_by_their_names():
    assert {each.name: entry_named(each.name) for each in SCHEDULE} == {
        "jobs.sweep": SWEEP,
        **{each.kind.name: each for each in SCHEDULE if each.kind},
    }
    assert len({each.name for each in SCHEDULE}) == len(SCHEDULE)

"""What the functions may open is held against what the database bears."""

import pytest

from infra import budget
from infra.system import System

PRODUCTION = System.load("production")


def system(connections: int, others: int = 0, queues: int = 2, **concurrency: int) -> System:
    changes = {
        "database": {"connections": connections, "others": others},
        "concurrency": {"web": 10, "console": 1, "jobs": 10, "media": 1, "migrate": 1} | concurrency,
        "queues": dict.fromkeys(PRODUCTION.queues, queues),
    }
    return System.model_validate({**PRODUCTION.model_dump(), **changes})


def test_a_line_is_copies_times_roles_times_versions():
    assert [(each.what, each.total) for each in budget.lines(system(200))] == [
        ("web", 20),
        ("console", 4),
        ("jobs", 40),
        ("media", 2),
        ("migrate", 2),
    ]


@pytest.mark.parametrize(
    ("connections", "others", "fits"),
    [
        (88, 0, True),  # 80 % of 85: the 68 that are promised
        (87, 0, False),
        (88, 1, False),
        (90, 1, True),
    ],
)
def test_promise_is_kept_to_four_fifths_of_what_is_not_reserved(connections, others, fits):
    assert (budget.problems(system(connections, others)) == []) == fits


def test_refusal_says_how_much_too_much_and_where():
    (said,) = budget.problems(system(50, media=5))

    assert said.splitlines() == [
        "the functions may open 76 connections; the database's 50 allow for 37: lower concurrency, or take a larger "
        "database",
        "web           10 copies x 1 x 2 versions =    20",
        "console        1 copies x 2 x 2 versions =     4",
        "jobs          10 copies x 2 x 2 versions =    40",
        "media          5 copies x 1 x 2 versions =    10",
        "migrate        1 copies x 1 x 2 versions =     2",
        "others                                            0",
    ]


def test_queues_may_not_keep_more_busy_than_there_are():
    (said,) = budget.problems(system(500, queues=5, jobs=10))

    assert said.startswith("the queues may keep 15 copies of jobs busy, and there are 10")


def test_the_environment_that_founders_begin_with_fits():
    assert budget.problems(PRODUCTION) == []

"""The clock: aware moments, and the day they fall on somewhere."""

import datetime as dt

import pytest

from fatfire.kit import clock
from fatfire.kit.errors import InvalidInput


def test_now_is_aware_and_in_utc():
    before = dt.datetime.now(dt.UTC)

    assert before <= clock.now() <= dt.datetime.now(dt.UTC)
    assert clock.now().tzinfo is dt.UTC


@pytest.mark.parametrize(
    ("moment", "time_zone", "day"),
    [
        ("2026-11-23T12:59:59+00:00", "Australia/Sydney", "2026-11-23"),
        ("2026-11-23T13:00:00+00:00", "Australia/Sydney", "2026-11-24"),  # daylight saving: UTC+11
        ("2026-06-23T13:59:59+00:00", "Australia/Sydney", "2026-06-23"),
        ("2026-06-23T14:00:00+00:00", "Australia/Sydney", "2026-06-24"),
        ("2026-11-23T04:59:59+00:00", "America/New_York", "2026-11-22"),
        ("2026-11-24T00:30:00+11:00", "UTC", "2026-11-23"),
        ("2026-12-31T10:00:00+00:00", "Pacific/Kiritimati", "2027-01-01"),  # UTC+14
        ("2027-01-01T10:59:59+00:00", "Pacific/Niue", "2026-12-31"),  # UTC-11
    ],
)
def test_local_date(moment, time_zone, day):
    assert clock.local_date(dt.datetime.fromisoformat(moment), time_zone) == dt.date.fromisoformat(day)


def test_local_date_refuses_a_naive_moment():
    with pytest.raises(ValueError, match="needs a time zone"):
        clock.local_date(dt.datetime(2026, 11, 23), "UTC")  # noqa: DTZ001  # the point


@pytest.mark.parametrize("name", ["UTC", "Australia/Sydney", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_time_zone_is_accepted(name):
    assert clock.require_time_zone(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Sydney", "australia/sydney", "UTC+10", "localtime", "Factory", "../../etc/passwd", "/etc/localtime", "a\0"],
)
def test_time_zone_is_refused(name):
    with pytest.raises(InvalidInput) as refusal:
        clock.require_time_zone(name, field="zone")
    assert refusal.value.field == "zone"


def test_every_accepted_time_zone_is_known_to_the_database(admin):
    known = {row[0] for row in admin.execute("SELECT name FROM pg_timezone_names")}

    assert clock.time_zones() - known == set()

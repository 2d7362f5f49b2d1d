"""The one place that reads the time. Domain code takes it as an argument (`at`), so that a test can choose it."""

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from fatfire.kit.errors import InvalidInput


def now() -> dt.datetime:
    """Return the present moment, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def local_date(at: dt.datetime, time_zone: str) -> dt.date:
    """Return the calendar day that `at` (aware) falls on in the IANA zone `time_zone`.

    Raises:
        ValueError: `at` is naive.
    """
    if at.tzinfo is None:
        msg = "a moment needs a time zone"
        raise ValueError(msg)
    return at.astimezone(ZoneInfo(time_zone)).date()


EARLIEST_DAY = dt.date(1900, 1, 1)
"""The first day that a person may enter; one before it is a slip of the hand."""


def require_day(day: dt.date, *, latest: dt.date | None = None, field: str) -> dt.date:
    """Return `day` when it is from EARLIEST_DAY to `latest` (None: whenever).

    Raises:
        InvalidInput: it is not; the message names `field`.
    """
    if day < EARLIEST_DAY or (latest is not None and day > latest):
        msg = f"A day between {EARLIEST_DAY} and {latest}." if latest else f"A day from {EARLIEST_DAY} on."
        raise InvalidInput(msg, field=field)
    return day


def require_time_zone(name: str, *, field: str = "time_zone") -> str:
    """Return `name` when it is a zone of the IANA database.

    Raises:
        InvalidInput: it is not; the message names `field`.
    """
    if name not in time_zones():
        msg = f"{name!r} is not a time zone of the IANA database."
        raise InvalidInput(msg, field=field)
    return name


@cache  # it reads hundreds of files
def time_zones() -> frozenset[str]:
    """Return the zones that mean the same on every machine."""
    return frozenset(available_timezones() - {"localtime", "Factory"})

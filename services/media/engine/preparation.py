"""Looks at a file, and plans the work on it where its header lists all frames."""

from dataclasses import dataclass

from services.media.engine.index import read_index
from services.media.engine.inspection import inspect
from services.media.engine.limits import Limits
from services.media.engine.media import Media
from services.media.engine.plan import Plan, Wanted, make_plan
from services.media.engine.reader import Reader


@dataclass(frozen=True)
class Prepared:
    """What a file is, and the plan for it: only for `media.indexed`; else `transcode_tracks` makes it."""

    media: Media
    plan: Plan | None


def prepare(reader: Reader, *, wanted: Wanted, limits: Limits) -> Prepared:
    """Return what there is to know before anything is made.

    Raises:
        Refused: it isn't a video, or not one that we can take; its reason says why.
    """
    media = inspect(reader, limits)
    plan = make_plan(media, read_index(reader, media, limits), wanted) if media.indexed else None
    return Prepared(media, plan)

"""What a household may have, where it isn't what the settings say."""

import datetime as dt
from typing import Any

from fatfire.kit.errors import InvalidInput
from services.media.models import Allowance
from services.media.queries import RENDITIONS
from tenants import audit


def set_allowance(
    *,
    max_bytes: int | None,
    max_seconds: int | None,
    max_videos: int | None,
    parallel: int | None,
    renditions: str,
    at: dt.datetime,
) -> Allowance:
    """Set all that the open scope's tenant may have; None and "" are what the settings say. Repeatable.

    Raises:
        InvalidInput: a number can't be, or a rendition isn't known; it names the field.
    """
    least = {"max_bytes": max_bytes, "max_seconds": max_seconds, "parallel": parallel}
    for field, number in least.items():
        if number is not None and number < 1:
            msg = "One or more."
            raise InvalidInput(msg, field=field)
    if not set(renditions.split()) <= set(RENDITIONS):
        msg = f"Some of {' '.join(RENDITIONS)}, with spaces between."
        raise InvalidInput(msg, field="renditions")
    values: dict[str, Any] = {**least, "max_videos": max_videos, "renditions": " ".join(renditions.split())}
    allowance, is_new = Allowance.objects.update_or_create(defaults=values)
    audit.record(action="create" if is_new else "update", subject="allowance", subject_id=allowance.id, at=at, **values)
    return allowance

"""Why a video is refused, in codes that stay the same."""

from enum import StrEnum


class Reason(StrEnum):
    """What is wrong with a video or with the work on it."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_VIDEO = "not_video"
    UNSUPPORTED_CODEC = "unsupported_codec"
    TRUNCATED = "truncated"
    ENCRYPTED = "encrypted"
    NO_FRAMES = "no_frames"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_MANY_STREAMS = "too_many_streams"
    FRAME_RATE = "frame_rate"
    HDR = "hdr"
    DAMAGED = "damaged"
    INEXACT = "inexact"
    TOOK_TOO_LONG = "took_too_long"
    TOO_MUCH_MEMORY = "too_much_memory"
    TOO_MANY_READS = "too_many_reads"
    CRASHED = "crashed"

    @property
    def may_pass(self) -> bool:
        """Whether another try may end otherwise: on a machine that is less busy, or where nobody kills the process."""
        return self in {Reason.CRASHED, Reason.TOOK_TOO_LONG}


class Refused(Exception):
    """The video can't be used as it is, and trying again won't help, unless the reason `may_pass`.

    `INEXACT` has an answer: the piece didn't give exactly the planned frames, so the video must be planned anew as one
    piece (`plan.unsplit`).
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

"""The frames of one segment: decoded from the original, no more of it than must be, and checked against the plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.media.engine.opening import decoded, opened, packets, picture_stream
from services.media.engine.picture import deinterlaced
from services.media.engine.plan import Plan, Segment
from services.media.engine.reader import Reader
from services.media.engine.refusal import Reason, Refused


def time_of(frame: VideoFrame) -> int:
    """Return when the frame is shown."""
    return cast("int", frame.pts)


class Misfit(Exception):
    """The frames from this seek aren't the planned ones."""


@dataclass(frozen=True)
class Start:
    """How decoding begins."""

    seek: int | None
    skips: bool
    """Whether frames before the segment to which no other refers are left out."""


def starts(plan: Plan, segment: Segment) -> Iterator[Start]:
    """Yield what to try in turn: the quickest first, then all that there is from ever earlier keyframes.

    Other formats have no frames that can be left out, or call frames so that others do refer to (HEVC, in its layers).
    Without them a decoder may be wrong about how many frames it holds back; then times are missing, and it is seen.
    """
    leaves_out = plan.is_exact and plan.media.video.codec == "h264" and not _deinterlaces(plan)
    if leaves_out and segment.number and segment.seeks[0] != segment.start:
        yield Start(segment.seeks[0], skips=True)
    for seek in segment.seeks:
        yield Start(seek, skips=False)


def _deinterlaces(plan: Plan) -> bool:
    lossless = any(output.rendition.lossless for output in plan.outputs)
    return plan.media.video.interlaced and not lossless


def needed(
    found: "Iterator[Packet[Stream]]", segment: Segment, stream: VideoStream, *, skips: bool
) -> "Iterator[Packet[Stream]]":
    """Yield the packets that must be decoded for the segment's frames.

    After them there is nothing to decode: the next packet is the next segment's keyframe, dear, and good for nothing
    but to make the decoder give what it holds back.

    Args:
        skips: tell the decoder to leave out what comes before the segment and no frame refers to.
    """
    awaited = set(segment.times())
    for packet in found:
        if not awaited and packet.pts is not None and packet.pts >= segment.end:
            return
        if skips:
            is_before = packet.pts is not None and packet.pts < segment.start
            stream.codec_context.skip_frame = "NONREF" if is_before else "DEFAULT"
        awaited.discard(packet.pts)
        yield packet


class Piece:
    """The frames of one segment, decoded from one place on."""

    def __init__(self, reader: Reader, plan: Plan, segment: Segment, start: Start, *, is_last: bool) -> None:
        self._reader, self._plan, self._segment, self._start = reader, plan, segment, start
        self._is_last = is_last
        self._may_repeat = is_last or start.seek != segment.seeks[0]
        self._deinterlaces = _deinterlaces(plan)
        self._errors = 0
        self.repeated: list[int] = []
        self.end = segment.end

    def frames(self) -> Iterator[tuple[VideoFrame, int]]:
        """Yield each planned frame with its source time."""
        found = self._window()
        if self._deinterlaces:
            found = deinterlaced(found, self._plan.media.video)
        return self._checked(found) if self._plan.is_exact else self._as_they_come(found)

    def _window(self) -> Iterator[VideoFrame]:
        """Yield the segment's frames, and one before and after, which a deinterlacer looks at."""
        media, segment = self._plan.media, self._segment
        last = segment.end if self._plan.is_exact and segment.number + 1 < len(self._plan.segments) else None
        with opened(self._reader, makes_times=media.makes_times, probes=not media.indexed) as container:
            stream = picture_stream(container, media.video.stream)
            if self._start.seek is not None:
                container.seek(self._start.seek, stream=stream, backward=True)
            before, has_begun = None, False
            found = packets(container, stream)
            if self._plan.is_exact and not self._deinterlaces:
                found = needed(found, segment, stream, skips=self._start.skips)
            for frame in decoded(found, stream):
                if frame is None:
                    self._errors += 1
                    continue
                if self._plan.is_exact and frame.pts is None:
                    raise Misfit("a frame without time")
                if self._plan.is_exact and time_of(frame) < segment.start:
                    before = frame
                    continue
                if before is not None:
                    yield before
                elif self._deinterlaces and segment.number and not has_begun and not self._is_last:
                    raise Misfit("no frame before the first, which its fields are compared with")
                before, has_begun = None, True
                is_after = last is not None and time_of(frame) >= last
                yield frame  # whose time the encoder changes
                if is_after:
                    return

    def _checked(self, found: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """Yield exactly the planned frames: the plan's times are the specification."""
        planned = self._segment.times()
        expected = next(planned, None)
        missing: list[int] = []
        last: VideoFrame | None = None
        for frame in found:
            when = time_of(frame)
            if not self._segment.start <= when < self._segment.end:
                continue
            while expected is not None and expected < when:
                missing.append(expected)
                expected = next(planned, None)
            if expected != when:
                raise Misfit(f"a frame at {when}, none is planned there")
            yield from self._repeat(last or frame, missing)
            missing = []
            yield frame, when
            last = frame
            expected = next(planned, None)
            if expected is None and self._segment.number + 1 < len(self._plan.segments):
                return  # and leave the rest of the file unread
        missing += [] if expected is None else [expected, *planned]
        if last is not None:
            yield from self._repeat(last, missing)
        elif self._errors and self._may_repeat:
            raise Refused(Reason.DAMAGED, "no frame of a segment")
        else:
            raise Misfit("no frame at all")

    def _repeat(self, frame: VideoFrame, times: list[int]) -> Iterator[tuple[VideoFrame, int]]:
        if times and not (self._errors and self._may_repeat):
            raise Misfit(f"{len(times)} frames are missing at {times[0]}")
        self.repeated += times
        if 2 * len(self.repeated) > self._segment.frames:
            raise Refused(Reason.DAMAGED, f"{len(self.repeated)} of {self._segment.frames} frames of a segment")
        for time_ in times:
            yield frame, time_

    def _as_they_come(self, found: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """Yield whatever can be decoded, at rising times."""
        video = self._plan.media.video
        step = max(1, round(1 / video.rate / video.time_base))
        when = None
        for frame in found:
            if when is None:
                when = video.start if frame.pts is None else frame.pts
            else:
                when = when + step if frame.pts is None or frame.pts <= when else frame.pts
            self.end = when + step
            yield frame, when
        if when is None:
            raise Refused(Reason.NO_FRAMES)

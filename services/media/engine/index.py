"""When each frame is shown, which are keyframes, and where they lie in the file."""

from dataclasses import dataclass, field
from itertools import pairwise

from av.packet import Packet
from av.stream import Stream

from services.media.engine.limits import Limits
from services.media.engine.media import Media
from services.media.engine.opening import opened, packets, read_only
from services.media.engine.reader import KEPT_HEADER_BLOCKS, Reader
from services.media.engine.refusal import Reason, Refused


@dataclass(frozen=True)
class Index:
    """The frames of a video, sorted by time; times in units of the picture's time base."""

    times: tuple[int, ...]
    positions: tuple[int, ...]
    """First byte of each frame, -1 where the container doesn't say."""
    sizes: tuple[int, ...]
    keys: tuple[int, ...]
    """Times of the keyframes."""
    last_step: int
    """How long the last frame is shown."""
    is_exact: bool
    """Whether every frame has a time of its own. If not, nothing can be cut by it."""


@dataclass
class IndexDraft:
    """Collects an index from packets in the order of the file."""

    media: Media
    limits: Limits
    _frames: list[tuple[int, int, int, bool]] = field(default_factory=list)
    _last: tuple[int, int] = (0, 0)
    _untimed: int = 0

    def add(self, packet: "Packet[Stream]") -> None:
        """Add one packet of the picture.

        Raises:
            Refused: there are too many.
        """
        if packet.is_discard:
            return
        if packet.pts is None:
            self._untimed += 1
            return
        if packet.pts < self.media.video.start:
            return  # before the first frame that can be decoded: the file begins within a group of pictures
        position = packet.pos if packet.pos is not None else -1
        self._frames.append((packet.pts, position, packet.size, packet.is_keyframe))
        self._last = max(self._last, (packet.pts, packet.duration or 0))
        if len(self._frames) > self.limits.frames:
            raise Refused(Reason.TOO_MANY_FRAMES, f"more than {self.limits.frames}")

    def finish(self) -> Index:
        """Return the index.

        Raises:
            Refused: there is no frame, or the video is too long.
        """
        frames = sorted(self._frames)
        if not frames:
            raise Refused(Reason.NO_FRAMES)
        times = tuple(frame[0] for frame in frames)
        steps = sorted(later - earlier for earlier, later in pairwise(times))
        usual = steps[len(steps) // 2] if steps else round(1 / self.media.video.rate / self.media.video.time_base)
        last = self._last[1] if self._last[0] == times[-1] else 0
        seconds = (times[-1] - times[0]) * self.media.video.time_base
        if seconds > self.limits.seconds:
            raise Refused(Reason.TOO_LONG, f"{int(seconds)} s, at most {self.limits.seconds}")
        return Index(
            times=times,
            positions=tuple(frame[1] for frame in frames),
            sizes=tuple(frame[2] for frame in frames),
            keys=tuple(frame[0] for frame in frames if frame[3]),
            last_step=max(1, last or usual),
            is_exact=not self._untimed and (not steps or steps[0] > 0) and frames[0][0] == self.media.video.start,
        )


def read_index(reader: Reader, media: Media, limits: Limits) -> Index:
    """Return the index from the file's header, reading hardly more than that: half a percent of an MP4.

    The demuxer takes times, sizes and key flags from the header and never looks into the frames. So the whole file is
    demuxed from a reader that gives zeros for what it hasn't got.

    Raises:
        Refused: frames lie beyond the end of the file; there are none, or too many.
    """
    draft = IndexDraft(media, limits)
    reader.kept_blocks = KEPT_HEADER_BLOCKS
    with opened(reader, probes=False):
        pass  # fetches the header, wherever it is
    reader.blank = True
    try:
        with opened(reader, parses=False, probes=False) as container:
            stream = container.streams[media.video.stream]
            read_only(container, stream)
            for packet in packets(container, stream):
                draft.add(packet)
            if any(entry.pos + entry.size > media.size for entry in stream.index_entries):
                raise Refused(Reason.TRUNCATED, "frames lie beyond its end")
    finally:
        reader.blank = False
    return draft.finish()

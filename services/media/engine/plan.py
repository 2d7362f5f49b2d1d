"""Where a video is cut, what is made of each piece, and what every piece must be checked against."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import groupby, pairwise

from services.media.engine.cost import decode_seconds, encode_seconds, sound_seconds
from services.media.engine.cuts import Work, choose_cuts
from services.media.engine.index import Index
from services.media.engine.media import Media, Video

KEYFRAME_SECONDS = 2
FRAGMENT_SECONDS = 6
_READ_MARGIN_FRAMES = 4  # a decoder holds some back


@dataclass(frozen=True)
class Rendition:
    """A quality that is wanted. `short_side` is the lesser of width and height; None keeps the source's own.

    `lossless` keeps every sample as it is, size and pixel format too (except a last odd column or row).
    """

    name: str
    short_side: int | None
    crf: int = 23
    preset: str = "veryfast"
    lossless: bool = False


LADDER = (Rendition("1080p", 1080), Rendition("720p", 720), Rendition("480p", 480))


@dataclass(frozen=True)
class Output:
    """A rendition of this video, with its size in square pixels, upright."""

    rendition: Rendition
    width: int
    height: int

    @property
    def name(self) -> str:
        """The rendition's name, which is the folder of its files too."""
        return self.rendition.name


@dataclass(frozen=True)
class Wanted:
    """What shall be made, and by how many workers."""

    renditions: tuple[Rendition, ...] = LADDER
    parallel: int = 2
    """How many workers may run at once."""
    startup_seconds: float = 0.3
    """What a worker costs before its first frame; Lambda's cold start is some 3 s."""
    pace: float = 1.0
    """Seconds that a worker takes here for one that work costs by the table (`cost`)."""


@dataclass(frozen=True)
class Segment:
    """One worker's piece: half open, [start, end), in units of the picture's time base.

    An inexact plan has one segment without steps: whatever can be decoded.
    """

    number: int
    start: int
    steps: tuple[tuple[int, int], ...]
    """How long each frame is shown, as runs of (duration, count)."""
    seeks: tuple[int | None, ...]
    """Where to begin decoding, tried in turn; None is the beginning of the file."""
    reads_until: int
    """Byte after the last that is useful to read."""
    cost: float
    """Seconds of one core, by the table."""

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return sum(count for _, count in self.steps)

    @property
    def end(self) -> int:
        """Time after its last frame."""
        return self.start + sum(duration * count for duration, count in self.steps)

    def times(self) -> Iterator[int]:
        """Yield the time of each frame."""
        time = self.start
        for duration, count in self.steps:
            for _ in range(count):
                yield time
                time += duration


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know. `wire.to_json` and `from_json` keep it."""

    media: Media
    outputs: tuple[Output, ...]
    segments: tuple[Segment, ...]
    is_exact: bool
    fragment_seconds: int
    """No HLS fragment is longer, rounded: the playlist's target duration, fixed before the first is made."""

    @property
    def timescale(self) -> int:
        """Ticks a second in what is made."""
        return self.media.video.time_base.denominator

    def ticks(self, time: int) -> int:
        """Return where a source time lies in what is made: 0 is the first picture or sample, whichever is earlier."""
        video = self.media.video
        return (time - video.start) * video.time_base.numerator + self._first_picture

    @cached_property
    def _first_picture(self) -> int:
        video = self.media.video
        return round((video.start * video.time_base - self.media.start) * self.timescale)

    @property
    def seconds(self) -> Fraction:
        """Length of the pictures."""
        return (self.segments[-1].end - self.segments[0].start) * self.media.video.time_base

    @property
    def cost(self) -> float:
        """Seconds of one core for all segments, by the table."""
        return sum(segment.cost for segment in self.segments)


def make_plan(media: Media, index: Index, wanted: Wanted) -> Plan:
    """Return the plan: the shortest segments that are worth a worker's start, earliest first, of equal cost."""
    if not index.is_exact:
        return unsplit(cut_at(media, index, wanted, [0]))
    decoding, encoding = _frame_costs(media.video, index, wanted)
    work = Work(
        parallel=wanted.parallel,
        startup=wanted.startup_seconds,
        frame=wanted.pace * (decoding + encoding),
        decoding=wanted.pace * decoding,
        sound=wanted.pace * sound_seconds(media),
    )
    seconds = float((index.times[-1] - index.times[0]) * media.video.time_base)
    return cut_at(media, index, wanted, choose_cuts(index, seconds, work))


def cut_at(media: Media, index: Index, wanted: Wanted, cuts: list[int]) -> Plan:
    """Return the plan whose segments begin at the frames of these numbers, the first of which is 0."""
    outputs = choose_outputs(media.video, wanted.renditions)
    cost = sum(_frame_costs(media.video, index, wanted))
    pieces = enumerate(pairwise([*cuts, len(index.times)]))
    segments = tuple(_segment(media, index, number, frames, cost) for number, frames in pieces)
    return Plan(media, outputs, segments, is_exact=True, fragment_seconds=_longest_fragment(media.video, index))


def _frame_costs(video: Video, index: Index, wanted: Wanted) -> tuple[float, float]:
    """Return what decoding a frame costs by the table, and making all outputs of it, in the mean."""
    outputs = choose_outputs(video, wanted.renditions)
    made = sum(encode_seconds(each.width, each.height, each.rendition.preset) for each in outputs)
    return decode_seconds(video, sum(index.sizes) / len(index.sizes)), made


def unsplit(plan: Plan) -> Plan:
    """Return the plan for a video that can't be cut exactly: one piece, of whatever can be decoded."""
    only = Segment(0, plan.media.video.start, (), (None,), plan.media.size, plan.cost)
    return replace(plan, segments=(only,), is_exact=False)


def choose_outputs(video: Video, renditions: tuple[Rendition, ...]) -> tuple[Output, ...]:
    """Return the renditions that the video is large enough for; the smallest, in the video's own size, if none is."""
    width, height = video.width * video.pixel_aspect, Fraction(video.height)
    if video.rotation % 180:
        width, height = height, width
    short = min(width, height)
    fitting = [each for each in renditions if each.short_side is None or each.short_side <= short]
    fitting = fitting or [min(renditions, key=lambda each: each.short_side or 0)]
    return tuple(Output(each, *_size(video, each, width, height)) for each in fitting)


def _size(video: Video, rendition: Rendition, width: Fraction, height: Fraction) -> tuple[int, int]:
    if rendition.lossless:
        sides = (video.height, video.width) if video.rotation % 180 else (video.width, video.height)
        is_whole = "444" in video.pixel_format or video.pixel_format.startswith("gbr")
        return sides if is_whole else (sides[0] // 2 * 2, sides[1] // 2 * 2)
    short = min(width, height)
    scale = min(Fraction(1), rendition.short_side / short) if rendition.short_side else Fraction(1)
    return _even(width * scale), _even(height * scale)


def _even(length: Fraction) -> int:
    """Return the nearest even length; a whole odd one loses a line, which is sharper than scaling by a hair."""
    return max(2, 2 * (int(length) // 2 if length.denominator == 1 else round(length / 2)))


def _segment(media: Media, index: Index, number: int, frames: tuple[int, int], frame_seconds: float) -> Segment:
    (first, after), times = frames, index.times
    end = times[after] if after < len(times) else times[-1] + index.last_step
    steps = [
        later - earlier for earlier, later in zip(times[first:after], [*times[first + 1 : after], end], strict=True)
    ]
    # A keyframe may stand after pictures that are shown before it (open groups), and some containers seek by decoding
    # time: so one keyframe earlier is the second try, two more the last. Fields are compared with the picture before.
    key = bisect_right(index.keys, times[first]) - 1
    tried = [key - back for back in ((1, 3) if media.video.interlaced else (0, 1, 3))]
    earlier = [index.keys[each] for each in tried if each > 0] if first else []
    seeks: list[int | None] = [*earlier, *([None] if tried[-1] <= 0 or not first else [])]
    begin = bisect_left(times, index.keys[tried[0]]) if tried[0] > 0 and first else 0
    read = slice(begin, after + _READ_MARGIN_FRAMES)
    until = max(
        (place + size for place, size in zip(index.positions[read], index.sizes[read], strict=True) if place >= 0),
        default=media.size,
    )
    return Segment(
        number=number,
        start=times[first],
        steps=tuple((duration, len(list(run))) for duration, run in groupby(steps)),
        seeks=tuple(dict.fromkeys(seeks)),
        reads_until=until,
        cost=(after - first) * frame_seconds,
    )


def keyframe_interval(video: Video) -> int:
    """Return how many frames apart keyframes are at most."""
    return max(1, round(KEYFRAME_SECONDS * video.rate))


def _longest_fragment(video: Video, index: Index) -> int:
    """Return how many seconds the longest group of pictures can take, wherever its keyframe falls."""
    every = keyframe_interval(video)
    times = [*index.times, index.times[-1] + index.last_step]
    longest = max((times[min(n + every, len(times) - 1)] - times[n] for n in range(len(index.times))), default=0)
    return max(FRAGMENT_SECONDS, -int(-longest * video.time_base // 1))

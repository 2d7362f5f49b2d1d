"""What is known of a video before any work on it."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Color:
    """Code points of ITU-T H.273: how numbers in a frame mean light. 2 is "not said"; `range` is 1 narrow, 2 full."""

    matrix: int
    range: int
    transfer: int
    primaries: int

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ (16) or HLG (18)."""
        return self.transfer in {16, 18}


@dataclass(frozen=True)
class Video:
    """The one picture stream that is shown. Sizes are as stored, before rotation and pixel aspect."""

    stream: int
    codec: str
    width: int
    height: int
    pixel_format: str
    rotation: int
    """Degrees, counter-clockwise, that a frame must be turned by to stand upright: 0, 90, 180 or 270."""
    pixel_aspect: Fraction
    time_base: Fraction
    rate: Fraction
    start: int
    """Time of the first frame that can be decoded, in units of `time_base`."""
    color: Color
    interlaced: bool


@dataclass(frozen=True)
class Audio:
    """A sound track; `start` is the time of its first sample in seconds on the source's clock."""

    stream: int
    codec: str
    rate: int
    channels: int
    start: Fraction
    language: str
    title: str


@dataclass(frozen=True)
class Caption:
    """A caption track; only text can become WebVTT, pictures of text can't."""

    stream: int
    codec: str
    language: str
    title: str
    is_text: bool


@dataclass(frozen=True)
class Media:
    """A video as it was inspected."""

    container: str
    size: int
    duration: Fraction
    """Seconds, as the file says; the plan knows it exactly."""
    indexed: bool
    """Whether the file's header lists every frame, so that a few reads are enough to plan."""
    makes_times: bool
    """Whether the container gives frames no times, so that they must be counted (AVI, MPEG program stream)."""
    video: Video
    audio: tuple[Audio, ...]
    captions: tuple[Caption, ...]

    @property
    def start(self) -> Fraction:
        """Time of whatever comes first, picture or sound, in seconds on the source's clock."""
        picture = self.video.start * self.video.time_base
        return min([picture, *(track.start for track in self.audio)])

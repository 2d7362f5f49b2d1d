"""One whole sound track as AAC: never cut, since each piece would bring the encoder's delay again."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from services.media.engine.fragment import Fragment, Written, decode_time, grouped, split
from services.media.engine.media import Audio, Media
from services.media.engine.opening import fraction
from services.media.engine.plan import FRAGMENT_SECONDS

RATES = frozenset({48000, 44100, 32000, 24000, 22050, 16000})
BIT_RATE = {"mono": 96_000, "stereo": 128_000}
CODEC = "mp4a.40.2"
_UNKNOWN_SECONDS = 600
_GAP = Fraction(1, 10)
"""Seconds between a frame's time and the samples before it from which on it isn't rounding but a gap."""


@dataclass(frozen=True)
class TrackResult:
    """A sound track that was made; `samples` a channel, `lead` of them silence before its first."""

    name: str
    """Of its folder: `init.mp4`, `media.m4s` for HLS, `whole.m4a` for the MP4."""
    stream: int
    language: str
    title: str
    codec: str
    rate: int
    samples: int
    lead: int
    bytes: int
    fragments: tuple[Fragment, ...]
    """In ticks of 1/rate."""


class TrackEncoder:
    """Encodes a track by a running count of its samples; gaps in the source become silence, overlaps are cut."""

    def __init__(self, media: Media, audio: Audio) -> None:
        self._audio, self._start = audio, media.start
        self._longest = int(media.duration) + _UNKNOWN_SECONDS
        """Seconds that silence may reach to: a lying time must not fill hours with it."""
        self.rate = audio.rate if audio.rate in RATES else 48000
        self._layout = "mono" if audio.channels == 1 else "stereo"
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._stream: AudioStream = self._container.add_stream("aac", rate=self.rate, layout=self._layout)
        self._stream.bit_rate = BIT_RATE[self._layout]
        self._stream.codec_context.time_base = Fraction(1, self.rate)
        self._stream.codec_context.open()
        self._resampler: AudioResampler | None = None
        self._heard = 0
        """Samples taken from the source, at its own rate, silence included."""
        self.samples = 0
        self.lead = 0

    def feed(self, frame: AudioFrame) -> None:
        """Take the next frame."""
        is_first = self._resampler is None
        if self._resampler is None:
            frame_size = self._stream.codec_context.frame_size
            self._resampler = AudioResampler(format="fltp", layout=self._layout, rate=self.rate, frame_size=frame_size)
        if frame.pts is not None:
            due = round((frame.pts * fraction(frame.time_base) - self._start) * frame.sample_rate)
            gap = due - self._heard if due <= self._longest * frame.sample_rate else 0
            if is_first or gap > _GAP * frame.sample_rate:
                if is_first:
                    self.lead = max(0, gap)
                self._silence(self._resampler, frame, max(0, gap))
            elif -gap > _GAP * frame.sample_rate and -gap >= frame.samples:
                return  # said a second time
        self._heard += frame.samples
        frame.pts = None
        self._encode(self._resampler.resample(frame))

    def finish(self) -> bytes:
        """Return the track as an MP4 that begins where the whole video begins; empty when nothing was heard."""
        if self._resampler is None:
            self._container.close()
            return b""
        self._encode(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()

    def _silence(self, resampler: AudioResampler, like: AudioFrame, samples: int) -> None:
        self._heard += samples
        while samples:
            count = min(samples, 8192)
            frame = AudioFrame(format=like.format.name, layout=like.layout.name, samples=count)
            frame.sample_rate = like.sample_rate
            frame.time_base = Fraction(1, like.sample_rate)
            for plane in frame.planes:
                plane.update((b"\x80" if like.format.name.startswith("u8") else b"\0") * plane.buffer_size)
            self._encode(resampler.resample(frame))
            samples -= count

    def _encode(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self.samples, Fraction(1, self.rate)
            self.samples += frame.samples
            self._container.mux(self._stream.encode(frame))


def fragmented(whole: bytes, samples: int) -> Written:
    """Return the track as CMAF. Its header keeps the edit that skips the encoder's delay, so that it starts in time."""
    file = io.BytesIO()
    options = {
        "movflags": "delay_moov+default_base_moof+skip_trailer",
        "frag_duration": str(FRAGMENT_SECONDS * 1_000_000),
        "write_btrt": "0",
    }
    with av.open(io.BytesIO(whole), "r", format="mp4") as source, av.open(file, "w", "mp4", options) as target:
        track = source.streams.audio[0]
        delay = track.codec_context.initial_padding
        stream = target.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    init, media, offsets = split(file.getvalue())
    starts = [max(0, decode_time(media, offset) - delay) for offset in offsets]
    lengths = [later - earlier for earlier, later in pairwise([*starts, samples])]
    return Written(init, media, tuple(grouped(lengths, [*offsets, len(media)], most=0)), CODEC)

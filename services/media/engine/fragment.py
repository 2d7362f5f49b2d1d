"""Encodes one segment and writes it as CMAF: fragments on the video's own clock, which HLS plays without a merge."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from services.media.engine.picture import color_of, pixel_format
from services.media.engine.plan import FRAGMENT_SECONDS, Output, Plan, keyframe_interval

REORDERED_FRAMES = 2
LIKE_A_LATER_KEYFRAME = {"x264-params": "zones=1,1,b=1.4"}
"""The second picture that libx264 sees is to be finer by 1.4: its own ratio of keyframes to others (`ipratio`)."""
CMAF = {
    "movflags": "empty_moov+default_base_moof+frag_keyframe+frag_discont+negative_cts_offsets+skip_trailer",
    "avoid_negative_ts": "disabled",
    "use_editlist": "0",
    "write_btrt": "0",  # it tells the bit rate, and the header must be the same for all segments
}


@dataclass(frozen=True)
class Fragment:
    """A part of a file that a playlist can name by its byte range; `ticks` long."""

    ticks: int
    offset: int
    size: int


@dataclass(frozen=True)
class Written:
    """A header, the fragments that follow it, and where each begins."""

    init: bytes
    media: bytes
    fragments: tuple[Fragment, ...]
    codec: str
    """As RFC 6381 names it."""


class Encoder:
    """Encodes frames in one thread, and keeps the packets until the segment is whole.

    The pictures around a cut are to be as fine as if there were none. libx264 gives a later keyframe the quality of the
    pictures before it, and better by a ratio, but the first it sees another: so a blank picture goes before a segment,
    and the keyframe behind it, which it would take for an ordinary picture, is told the ratio. It spends less on a
    picture that few others refer to: so the last one is shown once more behind it. Neither is kept.

    Keyframes come at even distances from the segment's first, never where a scene changes: so they are the same in all
    renditions, and players can change between these at each.
    """

    def __init__(self, plan: Plan, output: Output, *, is_first: bool) -> None:
        self._timescale = plan.timescale
        video = plan.media.video
        self._file = io.BytesIO()
        options = {**CMAF, "video_track_timescale": str(plan.timescale)}
        self._container = av.open(self._file, "w", format="mp4", options=options)
        rendition = output.rendition
        quality = {"qp": "0"} if rendition.lossless else {"crf": str(rendition.crf), "bf": str(REORDERED_FRAMES)}
        even = {"g": str(keyframe_interval(video)), "sc_threshold": "0"}
        self._is_lossy = not rendition.lossless
        self._continues = self._is_lossy and not is_first
        begins = LIKE_A_LATER_KEYFRAME if self._continues else {}
        self._stream: VideoStream = self._container.add_stream(
            "libx264",
            rate=video.rate.limit_denominator(1_000_000),
            options={"preset": rendition.preset, "threads": "1", **even, **quality, **begins},
        )
        context = self._stream.codec_context
        self._stream.width, self._stream.height = output.width, output.height
        self._stream.pix_fmt = pixel_format(video, output)
        self._stream.time_base = context.time_base = Fraction(1, plan.timescale)
        color = color_of(video, output)
        context.colorspace, context.color_range = color.matrix, color.range
        context.color_trc, context.color_primaries = color.transfer, color.primaries
        if rendition.lossless:
            context.sample_aspect_ratio = video.pixel_aspect
        self._packets: list[Packet[VideoStream]] = []
        self._step = max(1, round(plan.timescale / video.rate))
        self._start: int | None = None
        self._held: tuple[VideoFrame, int, PictureType] | None = None

    def encode(self, frame: VideoFrame, ticks: int) -> None:
        """Encode one frame to be shown at this time."""
        if self._held is not None:
            self._encode(*self._held)
        if self._start is None:
            self._start = ticks
            if self._continues:
                self._encode(self._blank(), ticks - self._step, PictureType.I)
            self._held = frame, ticks, PictureType.I
        else:
            self._held = frame, ticks, PictureType.NONE  # as the encoder likes, not as the source had it

    def _blank(self) -> VideoFrame:
        blank = VideoFrame(self._stream.width, self._stream.height, self._stream.pix_fmt or "yuv420p")
        for plane in blank.planes:
            plane.update(bytes(plane.buffer_size))
        return blank

    def _encode(self, frame: VideoFrame, ticks: int, kind: PictureType) -> None:
        frame.pts, frame.time_base, frame.pict_type = ticks, Fraction(1, self._timescale), kind
        self._packets += self._stream.encode(frame)

    def finish(self, end: int, *, is_last: bool) -> Written:
        """Return the segment, whose last frame is shown until `end` ticks."""
        if self._held is not None:
            last, ticks, kind = self._held
            if is_last or not self._is_lossy:
                self._encode(last, ticks, kind)
            else:
                self._encode(last, ticks, kind or PictureType.P)  # B would refer to what isn't kept
                self._encode(last, end, PictureType.NONE)
        self._packets += self._stream.encode(None)
        self._packets = [each for each in self._packets if (self._start or 0) <= packet_time(each) < end]
        order = [packet_time(packet) for packet in self._packets]
        shown = sorted(order)
        until = dict(zip(shown, [*shown[1:], end], strict=True))
        keys = [time for packet, time in zip(self._packets, order, strict=True) if packet.is_keyframe]
        # Decoding times are the sorted times themselves: then they run on over the seams without gap or overlap. The
        # muxer wants them below the times of being shown, and takes the first difference off again (tfdt).
        early = max(due - time for due, time in zip(shown, order, strict=True))
        for packet, due in zip(self._packets, shown, strict=True):
            packet.duration = until[packet_time(packet)] - packet_time(packet)
            packet.dts, packet.time_base, packet.stream = due - early, Fraction(1, self._timescale), self._stream
            self._container.mux_one(packet)
        self._container.close()
        init, media, offsets = split(self._file.getvalue())
        lengths = [later - earlier for earlier, later in zip(keys, [*keys[1:], end], strict=True)]
        fragments = tuple(grouped(lengths, [*offsets, len(media)], FRAGMENT_SECONDS * self._timescale))
        return Written(init, media, fragments, avc_name(self._stream.codec_context.extradata or b""))


def packet_time(packet: "Packet[VideoStream]") -> int:
    """Return when the packet's frame is shown."""
    return cast("int", packet.pts)


def boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each box on the first level of an MP4."""
    start = 0
    while start + 8 <= len(content):
        size = int.from_bytes(content[start : start + 4])
        if size == 1:
            size = int.from_bytes(content[start + 8 : start + 16])
        if size < 8 or start + size > len(content):
            raise ValueError("a box is cut off")
        yield content[start + 4 : start + 8], start, start + size
        start += size


def split(content: bytes) -> tuple[bytes, bytes, list[int]]:
    """Return the header, the media, and the offsets in the media where fragments begin."""
    init, media, offsets = b"", b"", []
    for name, start, end in boxes(content):
        if name in {b"ftyp", b"moov"}:
            init += content[start:end]
        elif name in {b"moof", b"mdat"}:
            if name == b"moof":
                offsets.append(len(media))
            media += content[start:end]
    return init, media, offsets


def decode_time(media: bytes, offset: int) -> int:
    """Return the decoding time (`tfdt`) of the fragment that begins here."""
    at = media.index(b"tfdt", offset) + 4
    return int.from_bytes(media[at + 4 : at + 12]) if media[at] else int.from_bytes(media[at + 4 : at + 8])


def grouped(lengths: list[int], offsets: list[int], most: int) -> Iterator[Fragment]:
    """Yield fragments of whole groups of pictures, none longer than `most` ticks unless its only group is."""
    first, ticks = 0, 0
    for number, length in enumerate(lengths):
        if ticks and ticks + length > most:
            yield Fragment(ticks, offsets[first], offsets[number] - offsets[first])
            first, ticks = number, 0
        ticks += length
    yield Fragment(ticks, offsets[first], offsets[len(lengths)] - offsets[first])


def avc_name(extradata: bytes) -> str:
    """Return H.264's codec name from its parameter sets, in either of their two forms."""
    if extradata[:1] == b"\1":
        return f"avc1.{extradata[1:4].hex()}"
    at = extradata.index(b"\0\0\1") + 3
    return f"avc1.{extradata[at + 1 : at + 4].hex()}"

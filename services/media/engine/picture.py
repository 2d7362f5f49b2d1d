"""Turns decoded frames into the pictures of an output: deinterlaced, upright, scaled, in its pixel format."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import cast

import av
import av.filter
from av.video.frame import VideoFrame

from services.media.engine.media import Color, Video
from services.media.engine.opening import fraction
from services.media.engine.plan import Output

NARROW, FULL = 1, 2
RGB, BT709, UNSAID = 0, 1, 2
_TURN = {0: (), 90: ("transpose=cclock",), 180: ("hflip", "vflip"), 270: ("transpose=clock",)}


class Filters:
    """A row of libav filters, built for the first frame and anew when frames change."""

    def __init__(self, filters: Iterable[str], time_base: Fraction) -> None:
        self._filters = tuple(filters)
        self._time_base = time_base
        self._graph: av.filter.Graph | None = None

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take one frame; yield those that are ready."""
        if not self._filters:
            yield frame
            return
        if self._graph is None:
            self._graph = self._built(frame)
        self._graph.vpush(frame)
        yield from self._ready(self._graph)

    def flush(self) -> Iterator[VideoFrame]:
        """Yield what the filters still hold."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready(self._graph)
            self._graph = None

    def _built(self, frame: VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        nodes = [graph.add_buffer(template=frame, time_base=self._time_base)]
        for each in self._filters:
            name, _, arguments = each.partition("=")
            nodes.append(graph.add(name, arguments or None))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph

    @staticmethod
    def _ready(graph: av.filter.Graph) -> Iterator[VideoFrame]:
        while True:
            try:
                yield graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


class Picture:
    """Makes an output's pictures of a video's frames, whatever size they have in mid-stream."""

    def __init__(self, video: Video, output: Output) -> None:
        self._video, self._output = video, output
        self._shape: tuple[int, int, str] | None = None
        self._filters = Filters((), video.time_base)

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Return the picture of this frame."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._shape = shape
            self._filters = Filters(self._chain(frame), self._video.time_base)
        (picture,) = self._filters.push(frame)
        return picture

    def _chain(self, frame: VideoFrame) -> Iterator[str]:
        video, output = self._video, self._output
        width, height = (output.width, output.height)[:: -1 if video.rotation % 180 else 1]
        lost = (frame.width - width, frame.height - height)
        pixels = pixel_format(video, output)
        light = _light(video, output, frame)
        if (frame.width, frame.height) != (video.width, video.height):
            # `copy`, since pad draws into the frame it was given, which the decoder may still refer to.
            fit = "force_original_aspect_ratio=decrease:force_divisible_by=2"
            yield f"scale={width}:{height}:flags=bicubic:{fit}{light}"
            yield f"format={pixels}"
            yield "copy"
            yield f"pad={width}:{height}:-1:-1"
        elif video.pixel_aspect != 1 or not set(lost) <= {0, 1} or frame.format.name != pixels or light:
            yield f"scale={width}:{height}:flags=bicubic{light}"
            yield f"format={pixels}"
        elif any(lost):
            yield f"crop={width}:{height}:0:0:exact=1"
        yield from _TURN[video.rotation]


class Pictures:
    """Makes the pictures of all outputs. HDR becomes SDR once for all, in the size of the largest: that is dear."""

    def __init__(self, video: Video, outputs: Sequence[Output]) -> None:
        self._to_sdr: Picture | None = None
        if video.color.is_hdr and not any(output.rendition.lossless for output in outputs):
            largest = max(outputs, key=lambda each: each.width * each.height)
            width, height = (largest.width, largest.height)[:: -1 if video.rotation % 180 else 1]
            self._to_sdr = Picture(replace(video, rotation=0), replace(largest, width=width, height=height))
            sdr = Color(matrix=BT709, range=NARROW, transfer=BT709, primaries=BT709)
            square = replace(video, width=width, height=height, pixel_aspect=Fraction(1))
            video = replace(square, pixel_format="yuv420p", color=sdr)
        self._pictures = [Picture(video, output) for output in outputs]

    def __call__(self, frame: VideoFrame) -> list[VideoFrame]:
        """Return one picture for each output."""
        if self._to_sdr is not None:
            frame = self._to_sdr(frame)
        return [picture(frame) for picture in self._pictures]


def _light(video: Video, output: Output, frame: VideoFrame) -> str:
    """Return the scaler's options that turn the frame's numbers into the output's."""
    if output.rendition.lossless:
        return ""
    if video.color.is_hdr:
        # Tone-mapped from the peak that the file names (10,000 cd/m2 for PQ without one) by the scaler's perceptual
        # mapping (ITU-R BT.2390's curve); what the file leaves unsaid is BT.2020, as HDR always is.
        said = [":in_primaries=bt2020"] if frame.color_primaries == UNSAID else []
        said += [":in_color_matrix=bt2020nc"] if frame.colorspace == UNSAID else []
        to = "out_primaries=bt709:out_transfer=bt709:out_color_matrix=bt709:out_range=tv:intent=perceptual"
        return f"{''.join(said)}:{to}"
    matrix = ":out_color_matrix=bt709" if frame.colorspace == RGB else ""
    return f"{matrix}:out_range=tv" if matrix or frame.color_range == FULL else ""


def pixel_format(video: Video, output: Output) -> str:
    """Return the output's pixel format: what every player takes, or the source's own for a lossless one."""
    return video.pixel_format if output.rendition.lossless else "yuv420p"


def color_of(video: Video, output: Output) -> Color:
    """Return how the output's numbers mean light."""
    if output.rendition.lossless:
        return video.color
    if video.color.is_hdr:
        return Color(matrix=BT709, range=NARROW, transfer=BT709, primaries=BT709)
    return replace(video.color, range=NARROW, matrix=BT709 if video.color.matrix == RGB else video.color.matrix)


def deinterlaced(frames: Iterable[VideoFrame], video: Video) -> Iterator[VideoFrame]:
    """Yield one whole picture for each frame whose fields were taken at different times, with the frame's own time."""
    filters = Filters(("bwdif=mode=send_frame:deint=interlaced",), video.time_base)
    for ready in _through(filters, frames):
        ready.pts = round(cast("int", ready.pts) * fraction(ready.time_base) / video.time_base)
        ready.time_base = video.time_base
        yield ready


def _through(filters: Filters, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    for frame in frames:
        yield from filters.push(frame)
    yield from filters.flush()

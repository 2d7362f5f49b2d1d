"""Videos to be cut, each hard in its own way, made by libav from moving patterns and tones."""

import io
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.filter
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame

NTSC = Fraction(30000, 1001)
X264 = {"preset": "veryfast", "g": "30", "bf": "3", "threads": "1"}
OPEN_GROUPS = {**X264, "x264-params": "open-gop=1:scenecut=0"}
X265 = {"preset": "ultrafast", "x265-params": "keyint=30:min-keyint=30:bframes=3:open-gop=1:log-level=error:pools=none"}


@dataclass(frozen=True)
class Sound:
    """A tone. `start` is when it begins, in seconds."""

    seconds: float
    codec: str = "aac"
    rate: int = 48000
    start: Fraction = Fraction(0)


@dataclass(frozen=True)
class Recipe:
    """How a video is made."""

    name: str
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: X264)
    container: str = "mp4"
    container_options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (160, 90)
    pixels: str = "yuv420p"
    rate: Fraction = NTSC
    frames: int = 150
    time_base: Fraction | None = None
    time: Callable[[int], int] = lambda number: number
    """When each frame is shown, in units of the time base."""
    sounds: tuple[Sound, ...] = (Sound(5.0),)
    rotation: int = 0
    cover: bool = False
    hidden: int = 0
    """How many of the frames are only there for others to refer to, before the first that is shown."""
    negative_from: int | None = None
    """The number of the frame with which another scene begins: light becomes dark."""


def uneven(number: int) -> int:
    """Return times of 1/90000 s with gaps between a fiftieth and a tenth of a second."""
    return sum(1800 + 900 * (k * k % 9) for k in range(number))


def uneven_milliseconds(number: int) -> int:
    """Return the like in milliseconds."""
    return sum(20 + 10 * (k * k % 9) for k in range(number))


HOUR = 3600
MATRIX = (
    Recipe("cfr_bframes"),
    Recipe("open_groups_mp4", options=OPEN_GROUPS),
    Recipe("open_groups_mkv", options=OPEN_GROUPS, container="matroska"),
    Recipe("hevc_open_groups", codec="libx265", options=X265),
    Recipe("vfr_mp4", time_base=Fraction(1, 90000), time=uneven),
    Recipe("vfr_mkv", time_base=Fraction(1, 1000), time=uneven_milliseconds, container="matroska"),
    Recipe(
        "ts_from_an_hour",
        container="mpegts",
        time_base=Fraction(1, 90000),
        time=lambda number: HOUR * 90000 + 3003 * number,
        sounds=(Sound(5.0, start=Fraction(HOUR)),),
    ),
    Recipe(
        "vp9_alt_ref",
        codec="libvpx-vp9",
        options={"g": "30", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "16", "crf": "40", "b": "0"},
        container="webm",
        sounds=(Sound(5.0, codec="libopus"),),
    ),
    Recipe(
        "mpeg2_interlaced_ps",
        codec="mpeg2video",
        options={"g": "12", "bf": "2", "flags": "+ildct+ilme"},
        container="vob",
        size=(160, 96),
        rate=Fraction(25),
        sounds=(Sound(6.0, codec="mp2"),),
    ),
    Recipe(
        "mpeg4_avi",
        codec="mpeg4",
        options={"g": "30", "bf": "2"},
        container="avi",
        sounds=(Sound(5.0, codec="mp2"),),
    ),
    Recipe(
        "edit_list", time=lambda number: number - 20, container_options={"avoid_negative_ts": "disabled"}, hidden=20
    ),
    Recipe("one_group", options={**X264, "g": "9999", "x264-params": "scenecut=0"}),
    Recipe("fragmented", container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    Recipe("rotated_90", rotation=90),
    Recipe("rotated_180", rotation=180),
    Recipe("no_sound", sounds=()),
    Recipe("cover_art", cover=True),
    Recipe("two_sounds", sounds=(Sound(3.9, rate=44100), Sound(4.0, start=Fraction(73, 100)))),
    Recipe("longer_sound", sounds=(Sound(7.123),)),
    Recipe("later_picture", time_base=Fraction(1, 30000), time=lambda number: 41100 + 1001 * number),
    Recipe(
        "odd_webm",
        codec="libvpx-vp9",
        options={"g": "30", "cpu-used": "8", "crf": "40", "b": "0"},
        container="webm",
        size=(161, 91),
        sounds=(),
    ),
    Recipe("odd_444", size=(161, 91), pixels="yuv444p", sounds=()),
    Recipe("odd_444_rotated", size=(161, 91), pixels="yuv444p", sounds=(), rotation=270),
    Recipe("ten_bit_h264", pixels="yuv420p10le"),
    Recipe("ten_bit_hevc_mkv", codec="libx265", options=X265, pixels="yuv420p10le", container="matroska"),
    Recipe("intra_refresh", options={**X264, "bf": "0", "x264-params": "intra-refresh=1"}),
)


def pattern(recipe: Recipe) -> Iterator[VideoFrame]:
    """Yield moving test pictures with some noise."""
    graph = av.filter.Graph()
    width, height = recipe.size
    source = f"size={width}x{height}:rate={recipe.rate}:duration={float((recipe.frames + 2) / recipe.rate)}"
    nodes = [
        graph.add("testsrc2", source),
        graph.add("noise", "alls=8:allf=t"),
        graph.add("format", recipe.pixels),
        *([] if recipe.negative_from is None else [graph.add("negate", f"enable='gte(n,{recipe.negative_from})'")]),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    for _ in range(recipe.frames):
        yield graph.vpull()


def tone(sound: Sound) -> Iterator[AudioFrame]:
    """Yield a tone of 440 Hz."""
    layout, size = "stereo", 1024
    total = round(sound.seconds * sound.rate)
    for at in range(0, total, size):
        count = min(size, total - at)
        wave = (int(9000 * math.sin(2 * math.pi * 440 * (at + k) / sound.rate)) for k in range(count))
        frame = AudioFrame(format="s16", layout=layout, samples=count)
        frame.planes[0].update(array("h", [level for level in wave for _ in range(2)]).tobytes())
        frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
        frame.pts = at + round(sound.start * sound.rate)
        yield frame


@cache
def _cover() -> bytes:
    recipe = Recipe("cover", size=(64, 64), pixels="yuvj420p", frames=1)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    (frame,) = pattern(recipe)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def make(recipe: Recipe) -> bytes:
    """Return the video."""
    file = io.BytesIO()
    with av.open(file, "w", format=recipe.container, options=recipe.container_options) as target:
        if recipe.cover:
            cover = target.add_stream("mjpeg", rate=25)
            cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
            cover.disposition = Disposition.attached_pic
        picture = target.add_stream(recipe.codec, rate=recipe.rate, options=dict(recipe.options))
        picture.width, picture.height, picture.pix_fmt = *recipe.size, recipe.pixels
        time_base = recipe.time_base or 1 / recipe.rate
        picture.codec_context.time_base = time_base
        if recipe.rotation:
            picture.set_display_rotation(recipe.rotation)
        tracks = []
        for sound in recipe.sounds:
            track = target.add_stream(sound.codec, rate=sound.rate, layout="stereo")
            track.codec_context.time_base = Fraction(1, sound.rate)
            tracks.append((track, sound))
        packets: list[Packet] = []
        for number, frame in enumerate(pattern(recipe)):
            frame.pts, frame.time_base, frame.pict_type = recipe.time(number), time_base, 0
            packets += picture.encode(frame)
        packets += picture.encode(None)
        for track, sound in tracks:
            for frame in framed(track, sound):
                packets += track.encode(frame)
            packets += track.encode(None)
        if recipe.cover:
            art = Packet(_cover())
            art.stream, art.pts, art.dts = cover, 0, 0
            target.mux_one(art)
        for packet in sorted(packets, key=lambda each: (each.dts or 0) * float(each.time_base)):
            target.mux(packet)
    return file.getvalue()


def framed(track: av.AudioStream, sound: Sound) -> Iterator[AudioFrame]:
    """Yield the tone in the frames that the track's encoder takes."""
    track.codec_context.open()
    resampler = av.AudioResampler(
        format=track.codec_context.format.name,
        layout="stereo",
        rate=sound.rate,
        frame_size=track.codec_context.frame_size,
    )
    at = round(sound.start * sound.rate)
    for frame in [*(made for each in tone(sound) for made in resampler.resample(each)), *resampler.resample(None)]:
        frame.pts, frame.time_base = at, Fraction(1, sound.rate)
        at += frame.samples
        yield frame


def write(recipe: Recipe, folder: Path) -> Path:
    """Write the video into the folder; return its path."""
    path = folder / f"{recipe.name}.{recipe.container}"
    path.write_bytes(make(recipe))
    return path


def small(name: str, **changes: object) -> Recipe:
    """Return a recipe of two seconds without sound."""
    return replace(Recipe(name, sounds=(), frames=60), **changes)  # type: ignore[arg-type]

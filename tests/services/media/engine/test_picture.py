"""Sizes, aspect, rotation, interlacing, colour: what a rendition looks like."""

import io
import math
from array import array
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from services.media.engine.media import Color, Video
from services.media.engine.picture import Filters, Pictures, color_of
from services.media.engine.plan import LADDER, Output, Rendition, choose_outputs
from services.media.engine.poster import make_poster
from services.media.engine.reader import Reader
from tests.services.media.engine.inputs import Recipe, make, small
from tests.services.media.engine.oracle import digest, look
from tests.services.media.engine.pipeline import Bytes, prepare, recut

EXACT = Rendition("exact", 480, crf=0)  # x264 loses nothing at 0
SDR = Color(matrix=1, range=1, transfer=1, primaries=1)
UHD = Video(
    stream=0,
    codec="h264",
    width=3840,
    height=2160,
    pixel_format="yuv420p",
    rotation=0,
    pixel_aspect=Fraction(1),
    time_base=Fraction(1, 30000),
    rate=Fraction(30000, 1001),
    start=0,
    color=SDR,
    interlaced=False,
)


@pytest.mark.parametrize(
    ("changes", "outputs"),
    [
        ({}, {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)}),
        ({"rotation": 90}, {"1080p": (1080, 1920), "720p": (720, 1280), "480p": (480, 854)}),
        ({"width": 1080, "height": 1920}, {"1080p": (1080, 1920), "720p": (720, 1280), "480p": (480, 854)}),
        ({"width": 1920, "height": 800}, {"720p": (1728, 720), "480p": (1152, 480)}),
        ({"width": 1279, "height": 719}, {"480p": (854, 480)}),
        ({"width": 321, "height": 181}, {"480p": (320, 180)}),
        ({"width": 2, "height": 2}, {"480p": (2, 2)}),
        ({"width": 720, "height": 576, "pixel_aspect": Fraction(64, 45)}, {"480p": (854, 480)}),
        (
            {"width": 1440, "height": 1080, "pixel_aspect": Fraction(4, 3)},
            {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)},
        ),
        ({"width": 640, "height": 480, "rotation": 270, "pixel_aspect": Fraction(1, 2)}, {"480p": (480, 320)}),
    ],
)
def test_renditions_are_upright_even_in_aspect_and_never_larger(changes, outputs):
    video = replace(UHD, **changes)

    assert {each.name: (each.width, each.height) for each in choose_outputs(video, LADDER)} == outputs


def frame_of(width: int, height: int, levels: tuple[int, int, int], color: Color, pixels: str = "yuv420p10le"):
    frame = av.VideoFrame(width, height, pixels)
    kind = "H" if "10le" in pixels else "B"
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(array(kind, [level] * (plane.buffer_size // array(kind).itemsize)).tobytes())
    frame.colorspace, frame.color_range = color.matrix, color.range
    frame.color_trc, frame.color_primaries = color.transfer, color.primaries
    frame.pts, frame.time_base = 0, UHD.time_base
    return frame


def shown(color: Color, *levels: tuple[int, int, int], pixels: str = "yuv420p10le") -> list[tuple[int, ...]]:
    """Return the first sample of each plane that an SDR rendition has for frames of one colour each."""
    video = replace(UHD, width=64, height=64, pixel_format=pixels, color=color)
    pictures = Pictures(video, [Output(EXACT, 32, 32), Output(EXACT, 64, 64)])
    made = [pictures(frame_of(64, 64, each, color, pixels))[1] for each in levels]
    assert {(each.format.name, each.width, each.height) for each in made} == {("yuv420p", 64, 64)}
    return [tuple(bytes(plane)[0] for plane in each.planes) for each in made]


def pq(candela: float) -> int:
    """Return the 10-bit code of a luminance. Source: SMPTE ST 2084."""
    power = (candela / 10_000) ** (2610 / 16384)
    code = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    return round(64 + 876 * code)


PQ = Color(matrix=9, range=1, transfer=16, primaries=9)
HLG = Color(matrix=9, range=1, transfer=18, primaries=9)


@pytest.mark.parametrize(
    ("color", "black", "white", "peak"),
    [(PQ, pq(0), pq(203), pq(10_000)), (replace(HLG, matrix=2, primaries=2), 64, round(64 + 876 * 0.75), 940)],
    ids=["PQ", "HLG with the rest unsaid"],
)
def test_hdr_becomes_sdr_with_black_white_and_peak_where_they_belong(color, black, white, peak):
    """The white of HDR (203 cd/m2, ITU-R BT.2408) is bright but leaves room for highlights; greys stay grey.

    And a red of BT.709's own primary, written in BT.2020, comes back as a red of little else; numbers that were only
    relabelled would have a fifth of its green (the perceptual mapping leaves an eighth: it makes room for wider reds).
    """
    *greys, red = shown(color, *((level, 512, 512) for level in (black, white, peak)), red_of_bt709(color))

    assert [each[0] for each in greys] == pytest.approx([16, 157, 235], abs=10)
    assert (greys[0][0], greys[2][0]) == (16, pytest.approx(235, abs=2))
    assert all(abs(chroma - 128) <= 1 for each in greys for chroma in each[1:])
    r, g, b = (light_of(each) for each in rgb_of_bt709(red))
    assert r > 0.2
    assert max(g, b) < 0.14 * r


def red_of_bt709(color: Color) -> tuple[int, int, int]:
    """Return 10-bit Y'CbCr of BT.2020 for BT.709's red. Source: ITU-R BT.2087 (primaries), BT.2020 (luma)."""
    linear = (0.6274, 0.0691, 0.0164)
    if color.transfer == 16:
        r, g, b = ((pq(100 * each) - 64) / 876 for each in linear)
    else:
        r, g, b = (hlg(0.2 * each) for each in linear)
    luma = 0.2627 * r + 0.6780 * g + 0.0593 * b
    return round(64 + 876 * luma), round(512 + 896 * (b - luma) / 1.8814), round(512 + 896 * (r - luma) / 1.4746)


def hlg(light: float) -> float:
    """Return the signal of a scene's linear light. Source: ITU-R BT.2100."""
    return math.sqrt(3 * light) if light <= 1 / 12 else 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def light_of(signal: float) -> float:
    """Return the linear light of a signal. Source: ITU-R BT.709."""
    return signal / 4.5 if signal < 0.081 else ((signal + 0.099) / 1.099) ** (1 / 0.45)


def rgb_of_bt709(levels: tuple[int, ...]) -> tuple[float, float, float]:
    """Return R'G'B' of 8-bit narrow Y'CbCr. Source: ITU-R BT.709."""
    y, cb, cr = (levels[0] - 16) / 219, (levels[1] - 128) / 224, (levels[2] - 128) / 224
    r, b = y + 1.5748 * cr, y + 1.8556 * cb
    return r, (y - 0.2126 * r - 0.0722 * b) / 0.7152, b


@pytest.mark.parametrize(
    ("color", "made"),
    [
        (SDR, SDR),
        (Color(6, 1, 6, 6), Color(6, 1, 6, 6)),
        (Color(5, 2, 1, 5), Color(5, 1, 1, 5)),
        (Color(2, 0, 2, 2), Color(2, 1, 2, 2)),
        (Color(0, 2, 13, 1), Color(1, 1, 13, 1)),
        (PQ, SDR),
        (HLG, SDR),
    ],
)
def test_colour_tags_tell_what_the_numbers_mean(color, made):
    assert color_of(replace(UHD, color=color), Output(EXACT, 2, 2)) == made


def test_full_range_is_narrowed():
    made = shown(Color(1, 2, 1, 1), (0, 128, 128), (255, 128, 128), pixels="yuvj420p")

    assert [each[0] for each in made] == [16, pytest.approx(235, abs=1)]


def test_tags_reach_the_file():
    run = prepare(
        make(
            small(
                "tags",
                options={
                    "preset": "ultrafast",
                    "x264-params": "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m",
                },
            )
        ),
        EXACT,
    )
    run.transcode(0)

    with av.open(io.BytesIO(run.mp4("exact"))) as made:
        context = made.streams.video[0].codec_context
        assert (context.colorspace, context.color_trc, context.color_primaries, context.color_range) == (6, 6, 6, 1)


def test_fields_are_woven_the_same_at_a_seam_as_elsewhere():
    recipe = Recipe(
        "fields",
        codec="mpeg2video",
        options={"g": "12", "bf": "2", "flags": "+ildct+ilme"},
        container="mpegts",
        size=(160, 96),
        rate=Fraction(25),
        frames=60,
        sounds=(),
    )
    content = make(recipe)
    filters = Filters(("bwdif=mode=send_frame:deint=interlaced",), Fraction(1, 90000))
    with av.open(io.BytesIO(content)) as source:
        woven = [each for frame in source.decode(video=0) for each in filters.push(frame)]
        woven += filters.flush()
    run = recut(prepare(content, EXACT), [0, 7, 24, 59])
    for number in range(4):
        run.transcode(number)

    assert run.media.video.interlaced
    assert look(run.mp4("exact")).pictures == tuple(digest(frame) for frame in woven)


def test_size_that_changes_in_mid_stream_is_fitted_into_the_first():
    parts = [
        make(small("first", container="mpegts", size=(160, 90))),
        make(
            small(
                "second",
                container="mpegts",
                size=(120, 120),
                time_base=Fraction(1, 90000),
                time=lambda n: 180180 + 3003 * n,
            )
        ),
    ]
    run = prepare(b"".join(parts), EXACT)
    for segment in run.plan.segments:
        run.transcode(segment.number)

    with av.open(io.BytesIO(run.mp4("exact"))) as made:
        frames = list(made.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(160, 90)}
    assert len(frames) == 120
    edge = bytes(frames[-1].planes[0])[45 * frames[-1].planes[0].line_size]
    assert edge == 16  # black beside a picture that is less wide


def test_poster_is_upright():
    content = make(small("poster", frames=90, rotation=90))
    run = prepare(content)

    jpeg = make_poster(Reader(Bytes(content)), run.media)

    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as made:
        (frame,) = made.decode(video=0)
    assert (frame.width, frame.height) == (90, 160)
    assert len(set(bytes(frame.planes[0]))) > 100

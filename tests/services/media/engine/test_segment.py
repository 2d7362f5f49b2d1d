"""What a worker decodes for its piece: no more than it must."""

import io

import av
import pytest

from services.media.engine.opening import decoded, fraction, opened, packets, picture_stream
from services.media.engine.piece import needed
from services.media.engine.plan import Rendition
from services.media.engine.reader import Reader
from tests.services.media.engine.inputs import MATRIX, X264, make, small
from tests.services.media.engine.pipeline import Bytes, Run, prepare, recut

EVEN = {**X264, "x264-params": "scenecut=0:b-adapt=0:b-pyramid=none"}
"""Groups of 30 frames: I B B B P B B B P ... as they are shown; no frame refers to a B."""


@pytest.mark.parametrize(
    ("cuts", "number", "skips", "expected"),
    [
        pytest.param([0, 30], 0, True, [*range(30)], id="up to a keyframe, without it"),
        pytest.param([0, 30], 1, True, [*range(30, 60)], id="from a keyframe"),
        pytest.param([0, 13], 1, True, [0, 4, 8, 12, *range(13, 60)], id="before: those referred to"),
        pytest.param([0, 13], 1, False, [*range(60)], id="before: all, when it is in doubt"),
        pytest.param([0, 14], 0, True, [*range(14), 16], id="after: what the last ones refer to"),
        pytest.param([0, 14, 40], 1, True, [0, 4, 8, 12, *range(14, 40), 42], id="both"),
    ],
)
def test_only_what_is_needed_is_decoded(cuts, number, skips, expected):
    content = make(small("even", options=EVEN))
    run = recut(prepare(content), cuts)
    segment = run.plan.segments[number]
    with opened(Reader(Bytes(content)), probes=False) as container:
        stream = picture_stream(container, run.media.video.stream)
        if segment.seeks[0] is not None:
            container.seek(segment.seeks[0], stream=stream)
        fed = needed(packets(container, stream), segment, stream, skips=skips)
        numbers = [run.index.times.index(frame.pts) for frame in decoded(fed, stream)]

    assert numbers == expected


def test_the_pictures_around_a_cut_are_as_fine_as_those_of_an_uncut_video():
    """A picture's bytes tell its quality: libx264 spends too few on the first that it sees at all, and on the last."""
    flat = {**EVEN, "g": "60"}
    content = make(small("fine", options=flat, frames=90, size=(512, 288)))
    prepared = prepare(content, Rendition("fine", None))

    uncut, cut = (sizes(transcoded(recut(prepared, cuts), "fine")) for cuts in ([0], [0, 60]))

    assert cut[:50] == uncut[:50]
    assert cut[59] == pytest.approx(uncut[59], rel=0.1)
    assert cut[60] == pytest.approx(uncut[60], rel=0.03)


def test_a_change_of_scene_brings_no_keyframe():
    """Or renditions would have theirs at different times, and players couldn't change between them."""
    content = make(small("two_scenes", frames=90, size=(256, 144), negative_from=45))
    run = recut(prepare(content, Rendition("large", None), Rendition("little", 96)), [0, 70])

    for output in ("large", "little"):
        assert keyframes(transcoded(run, output)) == [0, 60, 70]


@pytest.mark.parametrize("name", ["cfr_bframes", "vfr_mkv"])
def test_a_segment_of_any_length_keeps_its_frames_and_their_times(name):
    """What is encoded around it isn't kept, though it may be more than the segment itself."""
    (recipe,) = (each for each in MATRIX if each.name == name)
    prepared = prepare(make(recipe), Rendition("seen", None))
    cuts = [0, 1, 2, 4, 37, 38, 98, 149]
    made = packets_of(transcoded(recut(prepared, cuts), "seen"))

    times, clock = prepared.index.times, prepared.media.video.time_base
    assert [(packet.pts - made[0].pts) * fraction(packet.time_base) for packet in made] == [
        (time - times[0]) * clock for time in times
    ]
    assert [number for number, packet in enumerate(made) if packet.is_keyframe] == cuts


def transcoded(run: Run, output: str) -> bytes:
    for segment in run.plan.segments[len(run.results) :]:
        run.transcode(segment.number)
    return run.mp4(output)


def packets_of(mp4: bytes) -> list[av.Packet]:
    with av.open(io.BytesIO(mp4)) as made:
        return sorted((each for each in made.demux(made.streams.video[0]) if each.size), key=lambda each: each.pts)


def sizes(mp4: bytes) -> list[int]:
    return [packet.size for packet in packets_of(mp4)]


def keyframes(mp4: bytes) -> list[int]:
    return [number for number, packet in enumerate(packets_of(mp4)) if packet.is_keyframe]

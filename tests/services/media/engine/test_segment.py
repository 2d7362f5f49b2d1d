"""What a worker decodes for its piece: no more than it must."""

import io

import av
import pytest

from services.media.engine.opening import decoded, opened, packets, picture_stream
from services.media.engine.piece import needed
from services.media.engine.plan import Rendition
from services.media.engine.reader import Reader
from tests.services.media.engine.inputs import X264, make, small
from tests.services.media.engine.pipeline import Bytes, prepare, recut

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


def test_a_segment_begins_as_fine_as_the_same_keyframe_of_an_uncut_video():
    """A keyframe's bytes tell its quality: libx264 spends too few on the first picture that it sees at all."""
    flat = {**EVEN, "g": "60"}
    content = make(small("fine", options=flat, frames=90, size=(512, 288)))
    prepared = prepare(content, Rendition("fine", None))
    keyframes = []
    for cuts in ([0], [0, 60]):
        run = recut(prepared, cuts)
        for segment in run.plan.segments:
            run.transcode(segment.number)
        with av.open(io.BytesIO(run.mp4("fine"))) as made:
            keyframes.append([packet.size for packet in made.demux(made.streams.video[0]) if packet.is_keyframe])

    (first, uncut), (first_again, at_the_cut) = keyframes
    assert first == first_again
    assert at_the_cut == pytest.approx(uncut, rel=0.1)

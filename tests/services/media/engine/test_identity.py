"""With a lossless codec, what the pipeline makes is what the source was: each frame, each time, each sample."""

from bisect import bisect_left
from fractions import Fraction

import pytest

from services.media.engine.segment import init_name, segment_name
from tests.services.media.engine.inputs import MATRIX, Recipe, make
from tests.services.media.engine.oracle import Seen, look
from tests.services.media.engine.pipeline import LOSSLESS, Run, prepare, recut

CUTS = {
    "keyframes": lambda run: [0, *(bisect_left(run.index.times, key) for key in run.index.keys[1:])],
    "anywhere": lambda run: [0, 1, 37, 38, 77, len(run.index.times) - 1],
}


def source(recipe: Recipe, content: bytes) -> Seen:
    return look(content, rotation=recipe.rotation, even="444" not in recipe.pixels)


def since_first(times: tuple[Fraction, ...]) -> list[Fraction]:
    return [time - times[0] for time in times]


@pytest.mark.parametrize("recipe", MATRIX, ids=lambda recipe: recipe.name)
def test_nothing_is_lost_at_the_seams(recipe):
    content = make(recipe)
    expected = source(recipe, content)
    assert len(set(expected.pictures)) == recipe.frames - recipe.hidden  # or a frame for another wouldn't be seen
    prepared = prepare(content)

    for style, cuts in CUTS.items():
        run: Run = recut(prepared, cuts(prepared))
        for segment in reversed(run.plan.segments):
            run.transcode(segment.number)
        seen = look(run.mp4(LOSSLESS.name))

        assert (style, seen.pictures) == (style, expected.pictures)
        assert (style, since_first(seen.times)) == (style, since_first(expected.times))
        start = min([expected.times[0], *(begin for begin, _ in expected.sounds)])
        assert seen.times[0] == expected.times[0] - start
        parts = [run.files[segment_name(LOSSLESS.name, segment.number)] for segment in run.plan.segments]
        streamed = look(run.files[init_name(LOSSLESS.name)] + b"".join(parts))
        assert (style, streamed.pictures) == (style, expected.pictures)
        assert (style, since_first(streamed.times)) == (style, since_first(expected.times))
        assert [(begin, samples) for begin, samples in seen.sounds] == [
            (Fraction(0), samples + round((begin - start) * track.rate))
            for (begin, samples), track in zip(expected.sounds, run.tracks.audio, strict=True)
        ]

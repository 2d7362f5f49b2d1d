"""What isn't a video, lies about itself, reaches out or is too much: refused with its reason, or made as it is."""

import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from services.media.engine import sandbox
from services.media.engine.limits import USUAL_LIMITS, Limits
from services.media.engine.plan import Plan, Wanted, unsplit
from services.media.engine.refusal import Reason, Refused
from services.media.engine.segment import SegmentResult
from tests.services.media.engine import hostile
from tests.services.media.engine.inputs import X264, Sound, make, small
from tests.services.media.engine.pipeline import LOSSLESS, Bytes

WANTED = Wanted((LOSSLESS,))


def two_thirds(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def whole_way(content: bytes, limits: Limits = USUAL_LIMITS) -> tuple[Plan, list[SegmentResult], dict[str, bytes]]:
    """Take the video the whole way that an upload goes, each step in its child process."""
    source, files = Bytes(content), {}
    prepared = sandbox.prepare(source=source, wanted=WANTED, limits=limits)
    tracks = sandbox.transcode_tracks(
        source=source, media=prepared.media, wanted=WANTED, save=files.__setitem__, limits=limits
    )
    plan = prepared.plan or tracks.plan
    assert plan is not None
    try:
        return plan, transcoded(source, plan, files), files
    except Refused as refused:
        if refused.reason != Reason.INEXACT:
            raise
    plan = unsplit(plan)
    return plan, transcoded(source, plan, files), files


def transcoded(source: Bytes, plan: Plan, files: dict[str, bytes]) -> list[SegmentResult]:
    return [
        sandbox.transcode_segment(source=source, plan=plan, number=segment.number, save=files.__setitem__)
        for segment in plan.segments
    ]


REFUSED: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "nothing": (lambda: b"", Reason.EMPTY),
    "text": (lambda: b"Dear insurer,\n" * 999, Reason.NOT_VIDEO),
    "noise": (lambda: random.Random(1).randbytes(99_999), Reason.NOT_VIDEO),
    "session description that waits for packets": (lambda: hostile.SDP, Reason.NOT_VIDEO),
    "playlist of a local file": (lambda: hostile.HLS, Reason.NOT_VIDEO),
    "script that joins local files": (lambda: hostile.CONCAT, Reason.NOT_VIDEO),
    "manifest of another host": (lambda: hostile.DASH, Reason.NOT_VIDEO),
    "still picture": (hostile.picture, Reason.NOT_VIDEO),
    "sound only": (hostile.sound_only, Reason.NOT_VIDEO),
    "cut off before its index": (lambda: two_thirds(hostile.plain()), Reason.TRUNCATED),
    "cut off after its index": (lambda: two_thirds(hostile.header_first(hostile.plain())), Reason.TRUNCATED),
    "fifteen million pixels": (
        lambda: make(small("pixels", codec="mpeg4", options={}, size=(5000, 3000), frames=2)),
        Reason.TOO_MANY_PIXELS,
    ),
    "a thousand frames a second": (lambda: hostile.plain(rate=Fraction(1000)), Reason.FRAME_RATE),
    "a still of ten hours": (lambda: hostile.of_time(0, 36_000), Reason.TOO_LONG),
    "forty sound tracks": (lambda: make(small("tracks", sounds=(Sound(0.1),) * 40)), Reason.TOO_MANY_STREAMS),
    "encrypted": (hostile.encrypted, Reason.ENCRYPTED),
    "Dolby Vision without a base layer": (lambda: hostile.dolby_vision(0), Reason.HDR),
    "no frame": (hostile.without_frames, Reason.NO_FRAMES),
    "lies about sizes": (lambda: hostile.patched(hostile.plain(), b"stsz", 12, b"\x7f\xff\xff\xff"), Reason.NO_FRAMES),
    "lies about places": (lambda: hostile.patched(hostile.plain(), b"stco", 8, b"\x7f\xff\xff\xff"), Reason.NO_FRAMES),
    "lies about its count": (lambda: hostile.patched(hostile.plain(), b"stsz", 8, b"\x7f\xff\xff\xff"), Reason.DAMAGED),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_we_cannot_take_is_refused_with_its_reason(content, reason):
    with pytest.raises(Refused) as refused:
        sandbox.prepare(source=Bytes(content()), wanted=WANTED)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(bytes=10_000), Reason.TOO_LARGE),
        (Limits(seconds=1), Reason.TOO_LONG),
        (Limits(pixels=160 * 89), Reason.TOO_MANY_PIXELS),
        (Limits(streams=0), Reason.TOO_MANY_STREAMS),
        (Limits(frames_per_second=29), Reason.FRAME_RATE),
        (Limits(frames=59), Reason.TOO_MANY_FRAMES),
    ],
)
def test_limits_hold_for_every_container(limits, reason):
    for container in ("mp4", "matroska"):
        with pytest.raises(Refused) as refused:
            whole_way(hostile.plain(container=container), limits)

        assert (container, refused.value.reason) == (container, reason)


MADE = {
    "Dolby Vision with a base layer": (lambda: hostile.dolby_vision(1), {60}),
    "one frame": (lambda: hostile.of_time(0), {1}),
    "a still of ten hours, where that is allowed": (lambda: hostile.of_time(0, 36_000), {2}),
    "cut off Matroska": (lambda: two_thirds(hostile.plain(container="matroska")), {35}),
    # The noise in the pictures isn't the same each time, and so the file's length by a packet or two.
    "cut off transport stream": (lambda: two_thirds(hostile.plain(container="mpegts")), {36, 37}),
    "lies about its size": (
        lambda: hostile.patched(hostile.plain(), b"avc1", 24, b"\x20\x00\x20\x00"),
        {60},
    ),
    "lies about a run of times": (lambda: hostile.patched(hostile.plain(), b"stts", 8, b"\xff\xff\xff\xff"), {60}),
}


@pytest.mark.parametrize(("content", "frames"), MADE.values(), ids=MADE)
def test_what_can_be_shown_is_made(content, frames):
    _, results, files = whole_way(content(), Limits(seconds=40_000))

    assert sum(result.frames for result in results) in frames
    assert {result.repeated for result in results} == {()}
    assert {f"{LOSSLESS.name}/init.mp4", f"{LOSSLESS.name}/00000.m4s"} <= files.keys()


def test_damage_repeats_the_frame_before_it():
    content = hostile.plain(frames=120, options={**X264, "g": "15", "bf": "0"})

    _, results, _ = whole_way(hostile.damaged(content, 0.4, 3_000))

    repeated = [time for result in results for time in result.repeated]
    assert sum(result.frames for result in results) == 120
    assert 0 < len(repeated) <= 15


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_ends_well_or_clearly(seed):
    chance = random.Random(seed)
    content = bytearray(hostile.plain(container=chance.choice(["mp4", "matroska", "mpegts", "avi"])))
    for _ in range(chance.randint(1, 40)):
        content[chance.randrange(len(content))] = chance.randrange(256)

    outcome: Reason | None = None
    try:
        plan, results, _ = whole_way(bytes(content))
    except Refused as refused:
        outcome = refused.reason

    if outcome:
        assert outcome in {Reason.NOT_VIDEO, Reason.DAMAGED, Reason.NO_FRAMES, Reason.TRUNCATED}
    elif plan.is_exact:
        assert [result.frames for result in results] == [segment.frames for segment in plan.segments]
    else:
        assert sum(result.frames for result in results) > 0
